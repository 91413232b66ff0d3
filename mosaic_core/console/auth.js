// Signing in: authorization code with PKCE (RFC 7636), OpenID Connect, at the configured authority. The token lives in
// memory alone. What has to outlive the way to the authority and back (no token) is in sessionStorage until then.

const PENDING = "mosaic.signing-in";
const PENDING_MS = 10 * 60 * 1000;

export class SignInError extends Error {}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const here = () => `${location.origin}${location.pathname}`.replace(/\/$/, "");

async function challenge(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

/** The authority's endpoints. They have to be of the authority's own origin: the page may talk to no other. */
async function discover(config) {
  let found;
  try {
    const answer = await fetch(`${config.authority}/.well-known/openid-configuration`, { credentials: "omit" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    found = await answer.json();
  } catch (error) {
    throw new SignInError(`The sign-in service does not answer (${error.message}). Try again in a moment.`);
  }
  const origin = new URL(config.authority).origin;
  if (String(found.issuer).replace(/\/$/, "") !== config.authority) // some call themselves with a slash at the end
    throw new SignInError("The sign-in service calls itself something else than Console__Authority says.");
  for (const name of ["authorization_endpoint", "token_endpoint"])
    if (!URL.canParse(found[name]) || new URL(found[name]).origin !== origin)
      throw new SignInError(`The sign-in service's ${name} is not where Console__Authority is.`);
  return found;
}

/** Leaves the page for the authority's. `returnTo` is the place (`#/…`) to be at afterwards. */
export async function begin(config, returnTo) {
  if (!globalThis.crypto?.subtle)
    throw new SignInError("Signing in needs https (or a loopback address): this page was opened by plain http.");
  const metadata = await discover(config);
  const pending = { state: random(), nonce: random(), verifier: random(), returnTo, at: Date.now() };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const url = new URL(metadata.authorization_endpoint);
  for (const [name, value] of Object.entries({
    client_id: config.clientId,
    redirect_uri: here(),
    response_type: "code",
    response_mode: "fragment", // so that the code is in no server's log
    scope: config.scope,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await challenge(pending.verifier),
    code_challenge_method: "S256",
  })) url.searchParams.set(name, value);
  location.assign(url);
}

/** What the address says when the browser comes back: parameters, or null. The address is cleaned of them. */
function answered() {
  for (const part of [location.hash.slice(1), location.search.slice(1)]) {
    const said = new URLSearchParams(part);
    if (said.has("state") && (said.has("code") || said.has("error"))) {
      history.replaceState(null, "", here());
      return said;
    }
  }
  return null;
}

/** After the way back: `{session, returnTo}`; null where the page was opened otherwise. Raises SignInError. */
export async function complete(config) {
  const said = answered();
  if (said === null) return null;
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING); // for one answer
  if (pending === null || pending.state !== said.get("state") || Date.now() - pending.at > PENDING_MS)
    throw new SignInError("That answer belongs to no sign-in that this tab began, or it took too long.");
  const metadata = await discover(config);
  const needsIssuer = metadata.authorization_response_iss_parameter_supported === true;
  if ((said.has("iss") || needsIssuer) && said.get("iss") !== metadata.issuer)
    throw new SignInError("That answer comes from another sign-in service.");
  if (said.has("error")) {
    const code = /^[a-z_]{1,60}$/.test(said.get("error")) ? said.get("error") : "an error";
    throw new SignInError(`The sign-in service refused: ${code}.`);
  }
  const tokens = await redeem(config, metadata, said.get("code"), pending.verifier);
  const identity = claims(tokens.id_token);
  const forUs = [identity.aud].flat().includes(config.clientId);
  if (identity.iss !== metadata.issuer || !forUs || identity.nonce !== pending.nonce || identity.exp * 1000 < Date.now())
    throw new SignInError("The sign-in service's answer is not for this sign-in.");
  return { session: session(tokens, identity), returnTo: pending.returnTo };
}

async function redeem(config, metadata, code, verifier) {
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: config.clientId,
    redirect_uri: here(),
    code,
    code_verifier: verifier,
  });
  const answer = await fetch(metadata.token_endpoint, { method: "POST", body, credentials: "omit" }).catch(() => null);
  const said = await answer?.json().catch(() => null);
  if (!answer?.ok || typeof said?.access_token !== "string" || said.token_type?.toLowerCase() !== "bearer")
    throw new SignInError("The sign-in service gave no token. Sign in again.");
  return said;
}

/** A token's claims, read and not verified: the API verifies, the page only wants to know what to show. */
function claims(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const read = JSON.parse(new TextDecoder().decode(bytes));
    return read !== null && typeof read === "object" ? read : {};
  } catch {
    return {};
  }
}

function session(tokens, identity) {
  const access = claims(tokens.access_token);
  const roles = [access.roles ?? identity.roles ?? []].flat().map(String);
  const seconds = Number(tokens.expires_in) || 3600;
  return {
    token: tokens.access_token,
    name: String(access.preferred_username ?? identity.preferred_username ?? access.name ?? access.sub ?? "you"),
    roles,
    until: Date.now() + seconds * 1000,
  };
}
