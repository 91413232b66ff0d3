#!/usr/bin/env bash
# Sets how updates reach the app's running instances. Bicep's types do not know the property, and a template that sets
# it does not compile without a warning; so it is set here, after each provisioning and before the deployment.
#
#   AZURE_RESOURCE_GROUP=… AZURE_FUNCTION_APP_NAME=… AZURE_UPDATE_STRATEGY=… infra/scripts/update-strategy.sh
#   with --dry-run the command is printed, and nothing is run
#
# The three are outputs of infra/main.bicep; azd hands them to its hooks. The command is printed before it is run, and
# nothing is run where the strategy is what it should be: each change of the site restarts it.
set -euo pipefail

usage() {
    sed -n '2,/^set -euo/{/^set -euo/!s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

dry_run=false
if [ "${1:-}" = --dry-run ]; then
    dry_run=true
    shift
fi
[ $# -eq 0 ] || usage
group=${AZURE_RESOURCE_GROUP:-}
app=${AZURE_FUNCTION_APP_NAME:-}
strategy=${AZURE_UPDATE_STRATEGY:-}
[ -n "$group" ] && [ -n "$app" ] || usage
case $strategy in
    Recreate | RollingUpdate) ;;
    *) echo "update-strategy: neither Recreate nor RollingUpdate: $strategy" >&2; exit 2 ;;
esac

site=(--resource-group "$group" --name "$app")
command=(az functionapp update-strategy config set "${site[@]}" --type "$strategy" --output none)
if ! "$dry_run"; then
    present=$(az functionapp update-strategy config show "${site[@]}" --query type --output tsv)
    # without the property the platform recreates
    if [ "${present:-Recreate}" = "$strategy" ]; then
        echo "update-strategy: $app has $strategy"
        exit 0
    fi
fi
printf '+' >&2
printf ' %q' "${command[@]}" >&2
printf '\n' >&2
"$dry_run" || "${command[@]}"
