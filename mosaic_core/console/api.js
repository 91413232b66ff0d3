// The API with the caller's token. Every failure becomes an ApiError that says what to do.

const BASE = "/api/v1/agent";
const TIMEOUT_MS = 30_000;

export const READ = "Mosaic.Operator.Read";
export const REPLAY = "Mosaic.Operator.Replay";
export const ADMIN = "Mosaic.Operator.Admin";

/** Who is signed in; null for nobody. `membership` picks one where a member has several. In memory alone. */
export const state = { session: null, membership: "", onUnauthorized: () => {} };

export const has = (role) => state.session?.roles.includes(role) ?? false;

/** `status` 0: nobody answered. `after`: seconds that the service asked to wait. */
export class ApiError extends Error {
  constructor(status, code, message, { details = [], traceId = "", after = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, details, traceId, after });
  }
}

/** Answers the JSON. `query` leaves out what is empty. */
export async function call(method, path, { query = {}, body, signal, seconds = TIMEOUT_MS / 1000 } = {}) {
  if (state.session === null) throw new ApiError(401, "signed_out", "You are not signed in.");
  const url = new URL(`${BASE}${path}`, location.origin);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const headers = { Authorization: `Bearer ${state.session.token}`, Accept: "application/json" };
  if (state.membership) headers["X-Mosaic-Household-User-Id"] = state.membership;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const limits = [AbortSignal.timeout(seconds * 1000), signal].filter(Boolean);
  let answer;
  try {
    answer = await fetch(url, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.any(limits), credentials: "omit", cache: "no-store", redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", navigator.onLine ? "The API does not answer." : "This device is offline.");
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said;
  const told = said?.error ?? {};
  const error = new ApiError(answer.status, String(told.code ?? `status ${answer.status}`),
    String(told.message ?? "The API gave no reason."), {
      details: Array.isArray(told.details) ? told.details : [],
      traceId: String(told.traceId ?? ""),
      after: Number(answer.headers.get("Retry-After")) || 0,
    });
  const ofChoice = error.code.includes("ambiguous") || error.details.some((one) => /^x-mosaic/i.test(one.field));
  if (answer.status === 401 && !ofChoice) state.onUnauthorized(error);
  throw error;
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, body, options = {}) => call("POST", path, { body, ...options });

/** A title and what to do, for a person. */
export function explain(error) {
  if (!(error instanceof ApiError)) return ["The console itself failed", "Reload the page, and sign in again.", String(error?.message ?? "")];
  const details = error.details.map((detail) => `${detail.field} ${detail.issue}`).join("; ");
  const why = `${error.message.replace(/\.$/, "")}${details ? `: ${details}` : ""}.`;
  const trace = error.traceId ? `Trace id ${error.traceId}.` : "";
  switch (error.status) {
    case 0: return ["No answer", `${why} Check the connection, then retry.`, ""];
    case 401: return state.session !== null
      ? ["Which membership?", `${why} Choose one under Membership.`, ""]
      : ["Sign in again", "Your sign-in is over, or does not hold.", trace];
    case 403: return error.code === "membership_access_denied"
      ? ["Not a member", "You are no active member of a household. An operator with Mosaic.Operator.Admin can add you.", trace]
      : ["Not allowed", `${why} Your token has ${state.session?.roles.join(", ") || "no role"}; whoever manages the app registration can assign the role.`, trace];
    case 404: return ["Not found", why, ""];
    case 409: return ["Something else stands", why, trace];
    case 429: return ["Too many requests", `${why}`, ""];
    case 503: return ["Not available now", `${why}`, trace];
    default: return [error.status >= 500 ? "The API failed" : "Not accepted", `${why}`, trace];
  }
}
