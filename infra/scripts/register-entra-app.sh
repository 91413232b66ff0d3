#!/usr/bin/env bash
# Registers the API in Microsoft Entra with its four roles, or brings a registration up to date, and prints what the
# deployment wants to know of it. Each command that changes something is printed before it is run; repeating all of it
# changes nothing.
#
#   infra/scripts/register-entra-app.sh [--name NAME] [--assign ROLE=OBJECT_ID]… [--azd] [--dry-run]
#
#   --name     display name of the registration (default: Mosaic Money runtime); one registration an environment
#   --assign   gives a role to a user, a group or a service principal, by its object id; may be repeated
#   --azd      keeps the three values in the current azd environment as well
#   --dry-run  prints the commands and runs none
#
# Needs the Azure CLI, signed in as somebody who may register applications (Application Developer); for --assign, as one
# who may give its roles (Cloud Application Administrator). A directory takes seconds to know what is new: where a
# command does not find what the one before it made, repeat the script.
set -euo pipefail

name='Mosaic Money runtime'
dry_run=false
azd=false
assignments=()

# The ids are part of the registration: changed, a role would be another one, and its assignments be lost.
ingest_role=6f0c1f5e-5b0a-4a57-9d0b-2f6f4c3b1a01
read_role=6f0c1f5e-5b0a-4a57-9d0b-2f6f4c3b1a02
replay_role=6f0c1f5e-5b0a-4a57-9d0b-2f6f4c3b1a03
admin_role=6f0c1f5e-5b0a-4a57-9d0b-2f6f4c3b1a04
user_scope=6f0c1f5e-5b0a-4a57-9d0b-2f6f4c3b1a10
# Microsoft's own id of the Azure CLI: people get their tokens by it.
azure_cli=04b07795-8ddb-461a-bbee-02f9e1bf7b46

usage() {
    sed -n '2,/^set -euo/{/^set -euo/!s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

role_id() {
    case $1 in
        Mosaic.Ingest) echo "$ingest_role" ;;
        Mosaic.Operator.Read) echo "$read_role" ;;
        Mosaic.Operator.Replay) echo "$replay_role" ;;
        Mosaic.Operator.Admin) echo "$admin_role" ;;
        *) return 1 ;;
    esac
}

while [ $# -gt 0 ]; do
    case $1 in
        --name) [ $# -ge 2 ] || usage; name=$2; shift 2 ;;
        --assign)
            [ $# -ge 2 ] || usage
            role_id "${2%%=*}" >/dev/null || { echo "register-entra-app: no such role: ${2%%=*}" >&2; exit 2; }
            [[ ${2#*=} =~ ^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$ ]] ||
                { echo "register-entra-app: no object id: ${2#*=}" >&2; exit 2; }
            assignments+=("$2"); shift 2 ;;
        --azd) azd=true; shift ;;
        --dry-run) dry_run=true; shift ;;
        *) usage ;;
    esac
done

show() { printf '+' >&2; printf ' %q' "$@" >&2; printf '\n' >&2; }

# change COMMAND…: prints it, and runs it where this is no dry run. Standard output is for the three values alone.
change() {
    show "$@"
    "$dry_run" || "$@" >&2
}

# ask PLACEHOLDER COMMAND…: the command's answer; in a dry run nobody is asked, and the placeholder stands for it.
ask() {
    local placeholder=$1
    shift
    if "$dry_run"; then echo "$placeholder"; else "$@"; fi
}

# with LIST ITEM: the JSON list with one more item.
with() {
    local items=${1#*[}
    items=${items%]*}
    if [ -z "${items//[[:space:]]/}" ]; then echo "[$2]"; else echo "[$items, $2]"; fi
}

role() {
    printf '{"id": "%s", "value": "%s", "displayName": "%s", "description": "%s"' "$1" "$2" "$2" "$3"
    printf ', "isEnabled": true, "allowedMemberTypes": ["User", "Application"]}'
}
roles="[$(role "$ingest_role" Mosaic.Ingest 'Sends ingestions of the households that list the caller'),
 $(role "$read_role" Mosaic.Operator.Read 'Reads lanes, runs, signals, dead letters and traces'),
 $(role "$replay_role" Mosaic.Operator.Replay 'Replays commands and resolves signals'),
 $(role "$admin_role" Mosaic.Operator.Admin 'Pauses lanes and keeps the list of members')]"

tenant=$(ask '<tenant id>' az account show --query tenantId --output tsv)
authority=$(ask '<authority>' az cloud show --query endpoints.activeDirectory --output tsv)
graph=$(ask '<graph>' az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
authority=${authority%/}
graph=${graph%/}/v1.0

# The command brings a registration of this very name up to date where there is one, and refuses where there are two.
create=(az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg
    --requested-access-token-version 2 --app-roles "$roles" --query appId --output tsv)
show "${create[@]}"
app_id=$(ask '<application id>' "${create[@]}")
object_id=$(ask '<object id>' az ad app show --id "$app_id" --query id --output tsv)

# People get their tokens through the Azure CLI, which is let in by name; the scope that it asks for is there first.
# What is there already, by this script or by hand, stays.
patch=(az rest --method PATCH --uri "$graph/applications/$object_id" --headers Content-Type=application/json)
scopes=$(ask '[]' az ad app show --id "$app_id" --query api.oauth2PermissionScopes --output json)
if [[ $scopes != *"$user_scope"* ]]; then
    scope="{\"id\": \"$user_scope\", \"value\": \"access_as_user\", \"type\": \"User\", \"isEnabled\": true,
 \"adminConsentDisplayName\": \"Use the runtime\", \"userConsentDisplayName\": \"Use the runtime\",
 \"adminConsentDescription\": \"Use the runtime as the signed-in user\",
 \"userConsentDescription\": \"Use the runtime in your name\"}"
    change "${patch[@]}" --output none --body "{\"identifierUris\": [\"api://$app_id\"],
 \"api\": {\"requestedAccessTokenVersion\": 2, \"oauth2PermissionScopes\": $(with "$scopes" "$scope")}}"
fi
clients=$(ask '[]' az ad app show --id "$app_id" --query api.preAuthorizedApplications --output json)
if [[ $clients != *"$azure_cli"* ]]; then
    client="{\"appId\": \"$azure_cli\", \"delegatedPermissionIds\": [\"$user_scope\"]}"
    change "${patch[@]}" --output none --body "{\"api\": {\"preAuthorizedApplications\": $(with "$clients" "$client")}}"
fi

principal=$(ask '' az ad sp list --filter "appId eq '$app_id'" --query '[0].id' --output tsv)
if [ -z "$principal" ]; then
    change az ad sp create --id "$app_id" --output none
    principal=$(ask '<service principal>' az ad sp list --filter "appId eq '$app_id'" --query '[0].id' --output tsv)
fi

for assignment in ${assignments[@]+"${assignments[@]}"}; do
    role=$(role_id "${assignment%%=*}")
    member=$(tr '[:upper:]' '[:lower:]' <<<"${assignment#*=}")
    given=$(ask '' az rest --method GET --uri "$graph/servicePrincipals/$principal/appRoleAssignedTo?\$top=999" \
        --query "value[?principalId=='$member' && appRoleId=='$role'].id | [0]" --output tsv)
    [ -z "$given" ] || continue
    change az rest --method POST --uri "$graph/servicePrincipals/$principal/appRoleAssignedTo" \
        --headers Content-Type=application/json --output none \
        --body "{\"principalId\": \"$member\", \"resourceId\": \"$principal\", \"appRoleId\": \"$role\"}"
done

keep() {
    printf '%s=%s\n' "$1" "$2"
    if "$azd"; then change azd env set "$1" "$2"; fi
}
keep MOSAIC_AUTH_ISSUER "$authority/$tenant/v2.0"
keep MOSAIC_AUTH_AUDIENCE "$app_id"
keep MOSAIC_AUTH_JWKS_URI "$authority/$tenant/discovery/v2.0/keys"
