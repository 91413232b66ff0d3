"""Faults that are planted in a copy of the infrastructure, each with the line that tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

APP = "infra/modules/app.bicep"
STORAGE = "infra/modules/storage.bicep"
BUS = "infra/modules/servicebus.bicep"
HUBS = "infra/modules/eventhubs.bicep"
LOGS = "infra/modules/observability.bicep"
ROLES = "infra/modules/roles.bicep"
NETWORK = "infra/modules/network.bicep"
ENDPOINT = "infra/modules/endpoint.bicep"
MAIN = "infra/main.bicep"
RESOURCES = "infra/resources.bicep"
PARAMETERS = "infra/main.parameters.json"
SAMPLE = "local.settings.sample.json"
REFERENCE = "docs/reference/settings.md"
DEPLOY = ".github/workflows/deploy.yml"
ENVIRONMENT = ".github/workflows/environment.yml"
CI = ".github/workflows/ci.yml"
UPDATES = ".github/workflows/updates.yml"


@dataclass(frozen=True)
class Edit:
    """In `file`, the first `old` becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """In `file`, the first `old` becomes `new`; then `part` has a line for `where` (by default `file`), on the line of
    `at` (by default of `new`; "0": any), that says `what`."""

    part: str
    file: str
    old: str
    new: str
    what: str
    at: str = ""
    where: str = ""


FILES = "infra files"
TYPES = "infra types"
SECURITY = "infra security"
GRANTS = "infra roles"
SETTINGS = "infra settings"
DEPLOYMENT = "deployment"

FAULTS: Mapping[str, Fault] = {
    # ------------------------------------------------------------------------------------------------ what does not parse
    "a brace is missing": Fault(
        FILES, STORAGE, "  sku: {\n    name: sku\n  }", "  sku: {\n    name: sku\n", "does not parse", at="0"
    ),
    "an equals sign is missing": Fault(FILES, APP, "param name string", "param name = string =", "does not parse"),
    "no comma in an object": Fault(
        FILES,
        MAIN,
        "{ 'azd-env-name': environmentName }",
        "{ 'azd-env-name': environmentName a: 'b' }",
        "no comma before",
    ),
    "no comma in an array": Fault(
        FILES, NETWORK, "['443', '5671', '5672']", "['443' '5671', '5672']", "no comma before"
    ),
    "a comma at a line's end": Fault(
        FILES, BUS, "  maxDeliveryCount: 10", "  maxDeliveryCount: 10,", "a comma at the end of a line"
    ),
    "two statements on a line": Fault(
        FILES, BUS, "param location string", "param location string param other string", "a second statement"
    ),
    "a parameter twice": Fault(
        FILES,
        BUS,
        "param location string",
        "param location string\n\nparam name string",
        "name is declared twice",
        at="param name string\n\n@description('Tags",
    ),
    "a property twice": Fault(
        FILES,
        BUS,
        "  requiresSession: false",
        "  requiresSession: false\n  lockDuration: 'PT2M'",
        "lockDuration is set twice",
        at="  lockDuration: 'PT2M'",
    ),
    "the spread operator": Fault(
        FILES, MAIN, "union(tags, { 'azd-env-name': environmentName })", "{\n  ...tags\n}", "spread", at="  ...tags"
    ),
    # ------------------------------------------------------------------------------------------------------------- types
    "a property misspelt": Fault(
        TYPES, STORAGE, "allowSharedKeyAccess: false", "allowSharedKeyAcess: false", "allowSharedKeyAcess is unknown"
    ),
    "a property in other letters": Fault(
        TYPES,
        LOGS,
        "DisableLocalAuth: true",
        "disableLocalAuth: true",
        "it is written DisableLocalAuth",
        at="    disableLocalAuth: true\n    DisableIp",
    ),
    "a nested property misspelt": Fault(
        TYPES,
        APP,
        "instanceMemoryMB: instanceMemoryMB\n        max",
        "instanceMemoryMb: instanceMemoryMB\n        max",
        "instanceMemoryMb is unknown",
    ),
    "a property of an array's item misspelt": Fault(
        TYPES,
        NETWORK,
        "serviceName: 'Microsoft.App/environments'",
        "service: 'Microsoft.App/environments'",
        "service is unknown",
    ),
    "a value that is not allowed": Fault(
        TYPES, STORAGE, "kind: 'StorageV2'", "kind: 'StorageV3'", "'StorageV3' is none of"
    ),
    "a value of an open list misspelt": Fault(
        TYPES, STORAGE, "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS12'", "'TLS12' is none of"
    ),
    "a value through a variable": Fault(
        TYPES, STORAGE, "kind: 'StorageV2'", "kind: tableNames[0]", "'AgentCommands' is none of"
    ),
    "a value in one branch alone": Fault(
        TYPES, STORAGE, "accessTier: 'Hot'", "accessTier: accessLogs ? 'Warm' : 'Hot'", "'Warm' is none of"
    ),
    "an allowed value of a parameter": Fault(
        TYPES,
        STORAGE,
        "'Standard_GZRS'])\nparam sku",
        "'Standard_ZGRS'])\nparam sku",
        "'Standard_ZGRS' is none of",
        at="    name: sku",
    ),
    "a text for a number": Fault(
        TYPES, BUS, "maxDeliveryCount: 10", "maxDeliveryCount: '10'", "maxDeliveryCount wants int, has string"
    ),
    "a number for a text": Fault(
        TYPES, BUS, "lockDuration: 'PT1M'", "lockDuration: 60", "lockDuration wants string, has int"
    ),
    "a text for a truth value": Fault(
        TYPES, APP, "httpsOnly: true", "httpsOnly: 'true'", "httpsOnly wants bool, has string"
    ),
    "an object for an array": Fault(
        TYPES,
        NETWORK,
        "addressPrefixes: [addressPrefix]",
        "addressPrefixes: { a: addressPrefix }",
        "addressPrefixes wants an array",
    ),
    "a resource for its id": Fault(TYPES, APP, "serverFarmId: plan.id", "serverFarmId: plan", "has a resource"),
    "a required property is missing": Fault(
        TYPES,
        ROLES,
        "    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataOwner)\n",
        "",
        "roleDefinitionId is missing",
        at="  properties: {",
    ),
    "a name is missing": Fault(TYPES, APP, "  name: planName\n", "", "serverfarms.name is missing", at="resource plan"),
    "an API version that does not exist": Fault(
        TYPES,
        BUS,
        "Microsoft.ServiceBus/namespaces@2024-01-01'",
        "Microsoft.ServiceBus/namespaces@2024-01-02'",
        "has no API version 2024-01-02",
    ),
    "an API version of an existing resource": Fault(
        TYPES, APP, "components@2020-02-02", "components@2020-02-03", "has no API version 2020-02-03"
    ),
    "a type misspelt": Fault(TYPES, STORAGE, "blobServices/containers@", "blobServices/container@", "no resource type"),
    "a type in other letters": Fault(
        TYPES,
        BUS,
        "'Microsoft.ServiceBus/namespaces@",
        "'Microsoft.Servicebus/namespaces@",
        "is written Microsoft.ServiceBus/namespaces",
    ),
    "a child without a parent": Fault(
        TYPES,
        BUS,
        "  parent: namespace\n  name: ingestionQueueName",
        "  name: 'runtime-ingestion-completed'",
        "is a child without parent",
        at="resource ingestionQueue ",
    ),
    "a lock that Azure does not take": Fault(
        TYPES, BUS, "lockDuration: 'PT1M'", "lockDuration: 'PT6M'", "'PT6M' is not from 5 to 300 seconds"
    ),
    "a duration misspelt": Fault(TYPES, BUS, "lockDuration: 'PT1M'", "lockDuration: '1M'", "'1M' is no duration"),
    "fewer instances than the platform takes": Fault(
        TYPES,
        APP,
        "@minValue(40)",
        "@minValue(1)",
        "maximumInstanceCount is maximumInstanceCount, which is not held to 40 to 1000",
        at="        maximumInstanceCount: maximumInstanceCount",
    ),
    "a memory size that is not sold": Fault(
        TYPES,
        APP,
        "instanceMemoryMB: instanceMemoryMB\n        max",
        "instanceMemoryMB: 1024\n        max",
        "1024 is none of",
    ),
    "another Python": Fault(TYPES, APP, "version: '3.13'", "version: '3.12'", "3.12 is none of"),
    "a name that is too long": Fault(
        TYPES, STORAGE, "@maxLength(24)", "@maxLength(30)", "may be as long as 30 characters", at="  name: name\n"
    ),
    "a name without a limit": Fault(
        TYPES, BUS, "@minLength(6)\n@maxLength(50)\n", "", "namespaces.name", at="  name: name\n"
    ),
    "a name in capitals": Fault(
        TYPES,
        RESOURCES,
        "'st${resourceToken}'",
        "'ST${resourceToken}'",
        "has 'ST' in it",
        where=STORAGE,
        at="  name: name\n",
    ),
    "a name too long for its module": Fault(
        FILES,
        RESOURCES,
        "'st${resourceToken}'",
        "'store${environmentName}${resourceToken}'",
        "name may be as long as 42 characters",
        at="    name: storageAccountName",
    ),
    "a wrong discriminator": Fault(TYPES, APP, "  name: 'ftp'", "  name: 'sftp'", "'sftp' is none of"),
    "a wrong type through two modules": Fault(
        TYPES,
        RESOURCES,
        "param alwaysReady array = []",
        "param alwaysReady array = [{ name: 'http', instanceCount: '1' }]",
        "instanceCount wants int, has string",
    ),
    "a retention that is not offered": Fault(
        TYPES,
        LOGS,
        "@maxValue(730)",
        "@maxValue(7300)",
        "retentionInDays is retentionDays, which is not held to",
        at="    retentionInDays:",
    ),
    # ---------------------------------------------------------------------------------------------------------- platform
    "another plan": Fault(TYPES, APP, "name: 'FC1'", "name: 'EP1'", "sku.name is 'EP1', has to be 'FC1'"),
    "another tier": Fault(
        TYPES, APP, "tier: 'FlexConsumption'", "tier: 'ElasticPremium'", "sku.tier is 'ElasticPremium'"
    ),
    "a plan for another system": Fault(
        TYPES, APP, "reserved: true", "reserved: false", "reserved is false, has to be true"
    ),
    "an app of another kind": Fault(
        TYPES,
        APP,
        "kind: 'functionapp,linux'",
        "kind: 'functionapp'",
        "kind is 'functionapp'",
        at="  kind: 'functionapp'\n  identity",
    ),
    "a hub without consumer groups": Fault(
        TYPES, HUBS, "    name: 'Standard'", "    name: 'Basic'", "sku.name is 'Basic'"
    ),
    "main at another scope": Fault(
        TYPES, MAIN, "targetScope = 'subscription'\n", "", "azd deploys it to a subscription", at="// The whole"
    ),
    "a client id for a resource's id": Fault(
        TYPES,
        APP,
        "userAssignedIdentityResourceId: identityId",
        "userAssignedIdentityResourceId: identityClientId",
        "is .properties.clientId of identity, has to be .id",
    ),
    "blobs where tables are": Fault(
        TYPES,
        APP,
        "TablesConnection__endpoint: tableEndpoint",
        "TablesConnection__endpoint: blobEndpoint",
        "is .properties.primaryEndpoints.blob of account",
    ),
    "Service Bus' host for Event Hubs": Fault(
        TYPES,
        RESOURCES,
        "eventHubsHost: eventHubs.outputs.host",
        "eventHubsHost: serviceBus.outputs.host",
        "is not the host of the Microsoft.EventHub/namespaces",
        where=APP,
        at="  EventHubsConnection__fullyQ",
    ),
    "a child of another resource": Fault(
        TYPES,
        STORAGE,
        "  parent: tableService\n  name: tableName",
        "  parent: blobService\n  name: tableName",
        "cannot be a child of blobService",
        at="resource tables ",
    ),
    "a queue twice": Fault(
        TYPES,
        RESOURCES,
        "    conversationQueueName: conversationQueueName",
        "    conversationQueueName: ingestionQueueName",
        "conversationQueue is ingestionQueue",
        where=BUS,
        at="resource conversationQueue ",
    ),
    "a diagnostic setting of nobody's": Fault(
        TYPES,
        HUBS,
        "  name: 'to-workspace'\n  scope: namespace\n",
        "  name: 'to-workspace'\n",
        "does not say whose diagnostic setting it is",
        at="resource diagnostics ",
    ),
    "a namespace that nothing is logged of": Fault(
        TYPES,
        BUS,
        "  scope: namespace\n",
        "  scope: ingestionQueue\n",
        "has no diagnostic setting",
        at="resource namespace ",
    ),
    "logs to another place": Fault(
        TYPES,
        RESOURCES,
        "    workspaceId: observability.outputs.workspaceId",
        "    workspaceId: observability.outputs.componentId",
        "points at a Microsoft.Insights/components",
        where=STORAGE,
        at="    workspaceId: workspaceId",
    ),
    "azd does not find its group": Fault(
        TYPES, MAIN, "'azd-env-name'", "'azd-environment'", "has no tag azd-env-name", at="  tags: allTags"
    ),
    "an endpoint's names in another zone": Fault(
        TYPES,
        RESOURCES,
        "network!.outputs.tableZoneId",
        "network!.outputs.blobZoneId",
        "the names of 'table' are kept in privatelink.blob.",
        where=ENDPOINT,
        at="resource zoneGroup ",
    ),
    "a zone misspelt": Fault(
        TYPES,
        NETWORK,
        "privatelink.servicebus.windows.net",
        "privatelink.servicebus.windows.com",
        "the names of 'namespace' are kept in privatelink.servicebus.windows.com",
        where=ENDPOINT,
        at="resource zoneGroup ",
    ),
    "a zone that is linked to nothing": Fault(
        TYPES,
        NETWORK,
        "  parent: tableZone\n",
        "  parent: blobZone\n",
        "the network is not linked to tableZone",
        at="resource tableZone ",
    ),
    "a subnet of somebody else's": Fault(
        TYPES,
        NETWORK,
        "serviceName: 'Microsoft.App/environments'",
        "serviceName: 'Microsoft.Web/serverFarms'",
        "is delegated to Microsoft.Web/serverFarms",
        at="      {\n        name: 'app'",
    ),
    # ------------------------------------------------------------------------------------------------------------ wiring
    "a parameter that the module does not have": Fault(
        FILES,
        RESOURCES,
        "    deploymentContainerName: 'deployment-packages'",
        "    deployContainerName: 'deployment-packages'",
        "has no parameter deployContainerName",
    ),
    "a parameter that the module needs": Fault(
        FILES,
        RESOURCES,
        "    payloadContainerName: 'runtime-payloads'\n",
        "",
        "misses the parameter payloadContainerName",
        at="module storage ",
    ),
    "a parameter of another type": Fault(
        FILES,
        RESOURCES,
        "    partitions: eventHubPartitions",
        "    partitions: 'four'",
        "partitions wants int, has string",
    ),
    "a parameter of another type, by its own parameter": Fault(
        FILES,
        RESOURCES,
        "    partitions: eventHubPartitions",
        "    partitions: environmentName",
        "partitions wants int, has string",
    ),
    "a value that the module does not allow": Fault(
        FILES, RESOURCES, "    sku: serviceBusTier", "    sku: 'Basic'", "sku is 'Basic', which is none of"
    ),
    "an output that the module does not have": Fault(
        FILES,
        RESOURCES,
        "storage.outputs.blobEndpoint\n    queue",
        "storage.outputs.blobsEndpoint\n    queue",
        "has no output blobsEndpoint",
    ),
    "an output of a module's module": Fault(
        FILES, MAIN, "resources.outputs.functionAppUrl", "resources.outputs.functionUrl", "has no output functionUrl"
    ),
    "an output that is renamed": Fault(
        FILES,
        STORAGE,
        "output tableEndpoint string",
        "output tablesEndpoint string",
        "has no output tableEndpoint",
        where=RESOURCES,
        at="    tableEndpoint: storage",
    ),
    "an output of another type": Fault(
        FILES,
        STORAGE,
        "output deploymentContainerName string",
        "output deploymentContainerName int",
        "output deploymentContainerName wants int, has string",
    ),
    "a module's file that is not there": Fault(
        FILES, RESOURCES, "'modules/identity.bicep'", "'modules/identities.bicep'", "which is not there"
    ),
    "two modules of one name": Fault(
        FILES,
        RESOURCES,
        "  name: 'servicebus'\n",
        "  name: 'storage'\n",
        "is named 'storage', as the one on line",
        at="module serviceBus ",
    ),
    "a name that is known too late": Fault(
        FILES,
        ROLES,
        "guid(hub.id, appPrincipalId,",
        "guid(hub.id, component.properties.AppId,",
        "is known only after the deployment began",
    ),
    "a condition that is known too late": Fault(
        FILES,
        RESOURCES,
        "= if (privateNetworking) {\n  name: 'network'",
        "= if (empty(identity.outputs.clientId)) {\n  name: 'network'",
        "identity.outputs is known only after",
    ),
    "a parent by its name": Fault(
        FILES,
        BUS,
        "  parent: namespace\n  name: sweepQueueName",
        "  parent: 'namespace'\n  name: sweepQueueName",
        "parent wants the resource itself",
    ),
    "a dependency by its id": Fault(
        FILES, STORAGE, "    blobService\n  ]", "    blobService.id\n  ]", "dependsOn wants the resource itself"
    ),
    "a limit that is no number": Fault(
        FILES,
        RESOURCES,
        "@minValue(40)",
        "@minValue('40')",
        "@minValue of maximumInstanceCount wants a number",
        at="param maximumInstanceCount",
    ),
    "a name that is not declared": Fault(
        FILES, HUBS, "    partitionCount: partitions", "    partitionCount: partition", "partition is not declared"
    ),
    "a function that does not exist": Fault(
        FILES, RESOURCES, "uniqueString(subscription", "uniqeString(subscription", "uniqeString() is no function"
    ),
    "a parameter that nothing uses": Fault(
        FILES,
        HUBS,
        "    partitionCount: partitions",
        "    partitionCount: 4",
        "parameter partitions is used by nothing",
        at="param partitions",
    ),
    "a variable that nothing uses": Fault(
        FILES,
        BUS,
        "  properties: queueProperties\n}\n\nresource diag",
        "  properties: {}\n}\n\nvar unused = 1\n\nresource diag",
        "variable unused is used by nothing",
        at="var unused",
    ),
    "an existing resource that nothing uses": Fault(
        FILES,
        APP,
        "component.properties.ConnectionString",
        "'x'",
        "existing resource component is used by nothing",
        at="resource component",
    ),
    "a property that is not there to be read": Fault(
        FILES,
        LOGS,
        "workspace.properties.customerId",
        "workspace.properties.customerID",
        "has no properties.customerID",
    ),
    "a default beyond its own limit": Fault(
        FILES,
        RESOURCES,
        "param maximumInstanceCount int = 100",
        "param maximumInstanceCount int = 10",
        "maximumInstanceCount is 10, not from 40",
    ),
    "a module without its scope": Fault(
        FILES, MAIN, "  scope: resourceGroup\n", "", "give it a scope", at="module resources"
    ),
    "a parameter of azd's misspelt": Fault(
        FILES, PARAMETERS, '"authIssuer"', '"authIsuer"', "has no parameter authIsuer"
    ),
    "a required parameter that azd does not give": Fault(
        FILES,
        PARAMETERS,
        '    "authAudience": { "value": "${MOSAIC_AUTH_AUDIENCE}" },\n',
        "",
        "authAudience, which",
        at="{",
    ),
    "a placeholder misspelt": Fault(FILES, PARAMETERS, '"${AZURE_ENV_NAME}"', '"$AZURE_ENV_NAME"', "is no ${VARIABLE}"),
    "a default of azd's that is not allowed": Fault(
        FILES, PARAMETERS, "${AZURE_PRINCIPAL_TYPE=User}", "${AZURE_PRINCIPAL_TYPE=Person}", "'Person' is none of"
    ),
    # ------------------------------------------------------------------------------------------------------------ linter
    "a dependency that a reference says": Fault(
        FILES,
        STORAGE,
        "  dependsOn: [\n    blobService\n  ]",
        "  dependsOn: [\n    account\n  ]",
        "no-unnecessary-dependson",
        at="    account\n  ]",
    ),
    "what may not be there is read": Fault(
        FILES,
        RESOURCES,
        "network!.outputs.endpointSubnetId",
        "network.outputs.endpointSubnetId",
        "network may not be there",
    ),
    "a warning is switched off": Fault(
        FILES, APP, "resource plan ", "#disable-next-line BCP037\nresource plan ", "is switched off", at="#disable"
    ),
    "a host that environment() knows": Fault(
        FILES,
        NETWORK,
        "privatelink.blob.${environment().suffixes.storage}",
        "privatelink.blob.core.windows.net",
        "no-hardcoded-env-urls",
    ),
    "an interpolation of nothing else": Fault(
        FILES,
        NETWORK,
        "addressPrefixes: [addressPrefix]",
        "addressPrefixes: ['${addressPrefix}']",
        "simplify-interpolation",
    ),
    # ---------------------------------------------------------------------------------------------------------- security
    "keys of Service Bus": Fault(
        SECURITY, BUS, "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth is false"
    ),
    "keys of Service Bus, not said": Fault(
        SECURITY,
        BUS,
        "    disableLocalAuth: true\n",
        "",
        "disableLocalAuth is not set",
        at="  properties: {\n    minimumTls",
    ),
    "keys of Event Hubs": Fault(
        SECURITY, HUBS, "disableLocalAuth: true", "disableLocalAuth: privateNetworking", "disableLocalAuth is false"
    ),
    "keys of Application Insights": Fault(
        SECURITY,
        LOGS,
        "DisableLocalAuth: true",
        "DisableLocalAuth: false",
        "DisableLocalAuth is false",
        at="    DisableLocalAuth: false",
    ),
    "keys of Log Analytics": Fault(
        SECURITY, LOGS, "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth is false"
    ),
    "shared keys of storage": Fault(
        SECURITY, STORAGE, "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "allowSharedKeyAccess is true"
    ),
    "public blobs": Fault(
        SECURITY,
        STORAGE,
        "allowBlobPublicAccess: false",
        "allowBlobPublicAccess: true",
        "allowBlobPublicAccess is true",
    ),
    "a public container": Fault(
        SECURITY, STORAGE, "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess is 'Blob'"
    ),
    "old TLS of storage": Fault(SECURITY, STORAGE, "'TLS1_2'", "'TLS1_0'", "minimumTlsVersion is 'TLS1_0'"),
    "old TLS of Service Bus": Fault(
        SECURITY, BUS, "minimumTlsVersion: '1.2'", "minimumTlsVersion: '1.0'", "minimumTlsVersion is '1.0'"
    ),
    "old TLS of Event Hubs": Fault(
        SECURITY, HUBS, "minimumTlsVersion: '1.2'", "minimumTlsVersion: '1.1'", "minimumTlsVersion is '1.1'"
    ),
    "old TLS of the app": Fault(
        SECURITY, APP, "minTlsVersion: '1.2'", "minTlsVersion: '1.1'", "minTlsVersion is '1.1'"
    ),
    "storage in clear text": Fault(
        SECURITY,
        STORAGE,
        "supportsHttpsTrafficOnly: true",
        "supportsHttpsTrafficOnly: false",
        "supportsHttpsTrafficOnly is false",
    ),
    "the app in clear text": Fault(SECURITY, APP, "httpsOnly: true", "httpsOnly: false", "httpsOnly is false"),
    "passwords publish": Fault(SECURITY, APP, "    allow: false", "    allow: true", "allow is true"),
    "publishing policy taken away": Fault(
        SECURITY,
        APP,
        "  name: 'scm'",
        "  name: 'ftp'",
        "no basicPublishingCredentialsPolicies 'scm'",
        at="resource app ",
    ),
    "keys are read": Fault(
        SECURITY,
        STORAGE,
        "output id string = account.id",
        "output id string = account.listKeys().keys[0].value",
        "listKeys() reads keys",
    ),
    "a rule with rights": Fault(
        SECURITY,
        BUS,
        "resource diagnostics ",
        "resource key 'Microsoft.ServiceBus/namespaces/authorizationRules@2024-01-01' = {\n  parent: namespace\n  name: 'key'\n}\n\nresource diagnostics ",
        "is a key with rights",
        at="resource key",
    ),
    "everybody lets in": Fault(
        SECURITY,
        NETWORK,
        "sourceAddressPrefix: 'VirtualNetwork'",
        "sourceAddressPrefix: '*'",
        "lets everybody in",
        at="sourceAddressPrefix: '*'\n          sourcePortRange: '*'\n          destinationAddressPrefix: endpoint",
    ),
    "one zone where zones are asked": Fault(
        SECURITY,
        RESOURCES,
        "'Standard_GZRS' : 'Standard_ZRS'",
        "'Standard_GZRS' : 'Standard_LRS'",
        "'Standard_LRS' with zoneRedundant",
        where=STORAGE,
        at="    name: sku",
    ),
    "zones do not reach the plan": Fault(
        SECURITY,
        RESOURCES,
        "    zoneRedundant: zoneRedundant",
        "    zoneRedundant: false",
        "zoneRedundant is false with zoneRedundant",
        where=APP,
        at="    zoneRedundant: zoneRedundant",
    ),
    # ----------------------------------------------------------------------------------------------------------- private
    "a public Service Bus": Fault(
        SECURITY, BUS, "privateNetworking ? 'Disabled' : 'Enabled'", "'Enabled'", "keeps its public endpoint"
    ),
    "a public hub, turned round": Fault(
        SECURITY,
        HUBS,
        "privateNetworking ? 'Disabled' : 'Enabled'",
        "privateNetworking ? 'Enabled' : 'Disabled'",
        "keeps its public endpoint",
    ),
    "a public storage account": Fault(
        SECURITY,
        STORAGE,
        "    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'\n",
        "",
        "keeps its public endpoint",
        at="  properties: {\n    accessTier",
    ),
    "a public app": Fault(
        SECURITY,
        APP,
        "publicNetworkAccess: privateNetworking ?",
        "publicNetworkAccess: zoneRedundant ?",
        "keeps its public endpoint",
    ),
    "the parameter does not reach the module": Fault(
        SECURITY,
        RESOURCES,
        "    privateNetworking: privateNetworking",
        "    privateNetworking: false",
        "keeps its public endpoint",
        where=STORAGE,
        at="    publicNetworkAccess",
    ),
    "storage lets every network in": Fault(
        SECURITY,
        STORAGE,
        "defaultAction: privateNetworking ? 'Deny' : 'Allow'",
        "defaultAction: 'Allow'",
        "lets every network in",
    ),
    "Standard has no private endpoint": Fault(
        SECURITY,
        RESOURCES,
        "privateNetworking ? 'Premium' : serviceBusSku",
        "serviceBusSku",
        "private endpoints want 'Premium'",
        where=BUS,
        at="    name: sku",
    ),
    "no private endpoint for tables": Fault(
        SECURITY,
        RESOURCES,
        "    groupId: 'table'",
        "    groupId: 'blob'",
        "has no private endpoint 'table'",
        where=STORAGE,
        at="resource account",
    ),
    "an endpoint under another condition": Fault(
        SECURITY,
        RESOURCES,
        "module eventHubsEndpoint 'modules/endpoint.bicep' = if (privateNetworking)",
        "module eventHubsEndpoint 'modules/endpoint.bicep' = if (!privateNetworking)",
        "has no private endpoint 'namespace'",
        where=HUBS,
        at="resource namespace",
    ),
    "a public app by its configuration": Fault(
        SECURITY,
        APP,
        "      http20Enabled: true",
        "      http20Enabled: true\n      publicNetworkAccess: 'Enabled'",
        "keeps its public endpoint",
        at="      publicNetworkAccess",
    ),
    "addresses are let in": Fault(
        SECURITY,
        STORAGE,
        "      bypass: 'None'",
        "      bypass: 'None'\n      ipRules: [\n        {\n          value: '192.0.2.1'\n          action: 'Allow'\n        }\n      ]",
        "lets addresses in",
        at="      ipRules",
    ),
    "the app is in no network": Fault(
        SECURITY,
        RESOURCES,
        "    appSubnetId: privateNetworking ? network!.outputs.appSubnetId : ''",
        "    appSubnetId: ''",
        "is in no subnet",
        where=APP,
        at="    virtualNetworkSubnetId",
    ),
    "an endpoint without its names": Fault(
        SECURITY,
        ENDPOINT,
        "  parent: endpoint\n  name: 'default'",
        "  name: 'x/default'",
        "has no privateDnsZoneGroups",
        at="resource endpoint",
    ),
    # ------------------------------------------------------------------------------------------------------------- roles
    "the app may not send": Fault(
        GRANTS,
        ROLES,
        "roles.serviceBusDataOwner)\n    description: 'Sweep",
        "roles.serviceBusDataReceiver)\n    description: 'Sweep",
        "may not send queues (runtime-nightly-anomaly-sweep)",
        where=RESOURCES,
        at="//",
    ),
    "no role on the hub": Fault(
        GRANTS,
        ROLES,
        "  name: guid(hub.id, appPrincipalId, roles.eventHubsDataSender)\n  scope: hub\n  properties: {\n    principalId: appPrincipalId",
        "  name: guid(hub.id, appPrincipalId, roles.eventHubsDataSender)\n  scope: hub\n  properties: {\n    principalId: principalId",
        "may not send hubs",
        where=RESOURCES,
        at="//",
    ),
    "a role that nothing needs": Fault(
        GRANTS,
        ROLES,
        "resource appTelemetry ",
        "resource appListening 'Microsoft.Authorization/roleAssignments@2022-04-01' = {\n  name: guid(hub.id, appPrincipalId, roles.eventHubsDataReceiver)\n  scope: hub\n  properties: {\n    principalId: appPrincipalId\n    principalType: 'ServicePrincipal'\n    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventHubsDataReceiver)\n  }\n}\n\nresource appTelemetry ",
        "Event Hubs Data Receiver, which no operation of the app needs",
        at="resource appListening",
    ),
    "a role that nobody knows": Fault(
        GRANTS,
        ROLES,
        "eventHubsDataSender: '2b629674-e913-4c01-ae53-ef4638d8f975'",
        "eventHubsDataSender: 'b24988ac-6180-42a0-ab88-20f7382dd24c'",
        "which no operation is known to need",
        at="resource appHub",
    ),
    "a role wider than needed": Fault(
        GRANTS,
        ROLES,
        "  scope: hub\n  properties: {\n    principalId: appPrincipalId",
        "  scope: eventHubsNamespace\n  properties: {\n    principalId: appPrincipalId",
        "on the whole namespace",
        at="resource appHub",
    ),
    "a producer may send everywhere": Fault(
        GRANTS,
        ROLES,
        "  scope: ingestionQueue\n  properties: {\n    principalId: sender",
        "  scope: serviceBusNamespace\n  properties: {\n    principalId: sender",
        "lets a producer send all queues",
        at="resource ingestionSending",
    ),
    "a producer may send to the conversation lane": Fault(
        GRANTS,
        ROLES,
        "  scope: ingestionQueue\n  properties: {\n    principalId: sender",
        "  scope: conversationQueue\n  properties: {\n    principalId: sender",
        "lets a producer send runtime-agent-message-posted",
        at="resource ingestionSending",
    ),
    "a person may send to the sweep lane": Fault(
        GRANTS,
        ROLES,
        "roles.serviceBusDataReceiver)\n    description: 'Dead letters of the sweep",
        "roles.serviceBusDataOwner)\n    description: 'Dead letters of the sweep",
        "lets a person manage, send runtime-nightly-anomaly-sweep",
        at="resource personSweepQueue",
    ),
    "a role on the whole group": Fault(
        GRANTS, ROLES, "  scope: component\n", "", "on the whole resource group", at="resource appTelemetry"
    ),
    "a role on another resource": Fault(
        GRANTS, ROLES, "  scope: component\n", "  scope: hub\n", "where it opens nothing", at="resource appTelemetry"
    ),
    "an assignment's name by chance": Fault(
        GRANTS,
        ROLES,
        "guid(hub.id, appPrincipalId, roles.eventHubsDataSender)",
        "guid(hub.id, appPrincipalId)",
        "its name does not hold its role",
        at="resource appHub",
    ),
    "a role of the app's under a condition": Fault(
        GRANTS,
        ROLES,
        "resource appTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {",
        "resource appTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {",
        "is not there under every parameter",
    ),
    "a client id for a principal's": Fault(
        GRANTS,
        RESOURCES,
        "    appPrincipalId: identity.outputs.principalId",
        "    appPrincipalId: identity.outputs.clientId",
        "has to be its principalId",
        where=ROLES,
        at="resource appBlobs ",
    ),
    "a role twice": Fault(
        GRANTS,
        ROLES,
        "resource appHub ",
        "resource appHubToo 'Microsoft.Authorization/roleAssignments@2022-04-01' = {\n  name: guid(hub.id, appPrincipalId, roles.eventHubsDataSender)\n  scope: hub\n  properties: {\n    principalId: appPrincipalId\n    principalType: 'ServicePrincipal'\n    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventHubsDataSender)\n  }\n}\n\nresource appHub ",
        "Azure refuses the second",
        at="resource appHub ",
    ),
    "a role less than enough": Fault(
        GRANTS,
        ROLES,
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "may not own blobs",
        where=RESOURCES,
        at="//",
    ),
    "the app comes before its roles": Fault(
        GRANTS,
        RESOURCES,
        "    roles\n    blobEndpoint",
        "    blobEndpoint",
        "does not wait for roles",
        at="module app ",
    ),
    "a principal of another type": Fault(
        GRANTS,
        ROLES,
        "    principalId: appPrincipalId\n    principalType: 'ServicePrincipal'",
        "    principalId: appPrincipalId\n    principalType: 'User'",
        "has to be 'ServicePrincipal'",
        at="    principalType: 'User'",
    ),
    # ---------------------------------------------------------------------------------------------------------- settings
    "a setting misspelt": Fault(
        SETTINGS, APP, "Auth__Issuer: authIssuer", "Auth__Isuer: authIssuer", "Auth__Isuer is no setting"
    ),
    "a required setting is missing": Fault(
        SETTINGS,
        APP,
        "  Auth__JwksUri: authJwksUri\n",
        "  Auth__PlatformProvider: authJwksUri\n",
        "Auth__JwksUri is missing",
        at="var ownSettings",
    ),
    "telemetry is off": Fault(
        SETTINGS,
        APP,
        "  PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'\n",
        "",
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY is missing",
        at="var ownSettings",
    ),
    "a semicolon at the end": Fault(
        SETTINGS, APP, ";Authorization=AAD'", ";Authorization=AAD;'", "ends in a semicolon"
    ),
    "an identity without its id": Fault(
        SETTINGS,
        APP,
        "  TablesConnection__clientId: identityClientId\n",
        "",
        "TablesConnection__clientId is missing",
        at="var ownSettings",
    ),
    "a connection string beside the identity": Fault(
        SETTINGS,
        APP,
        "  TelemetryHub: hubName",
        "  TelemetryHub: hubName\n  TablesConnection: tableEndpoint",
        "TablesConnection is a connection string",
        at="  TablesConnection: tableEndpoint",
    ),
    "the app makes its tables": Fault(
        SETTINGS, APP, "Stores__CreateTables: 'false'", "Stores__CreateTables: 'true'", "Stores__CreateTables is 'true'"
    ),
    "a value that the app refuses": Fault(
        SETTINGS,
        APP,
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '22020096'",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '1'",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    ),
    "drills on a deployment": Fault(
        SETTINGS,
        APP,
        "  TelemetryHub: hubName",
        "  TelemetryHub: hubName\n  Drill__Enabled: 'true'",
        "Drill__Enabled is true",
        at="  Drill__Enabled",
    ),
    "a deadline beyond the lock's renewal": Fault(
        SETTINGS,
        APP,
        "  TelemetryHub: hubName",
        "  TelemetryHub: hubName\n  Lane__DeadlineSeconds: '480'",
        "Lane__DeadlineSeconds",
        at="  Lane__DeadlineSeconds",
    ),
    "two lanes on one queue": Fault(
        SETTINGS, APP, "SweepQueue: sweepQueueName", "SweepQueue: ingestionQueueName", "the same queue"
    ),
    "the sample misspells": Fault(SETTINGS, SAMPLE, '"SweepQueue"', '"SweepQueu"', "SweepQueu is no setting"),
    "the sample lacks one": Fault(
        SETTINGS, SAMPLE, '    "Auth__Issuer": "http://127.0.0.1:7072",\n', "", "Auth__Issuer is missing", at="{"
    ),
    "the reference lacks one": Fault(
        SETTINGS,
        REFERENCE,
        "| `Sweep__CatchUpNights` |",
        "| `Sweep__CatchUp` |",
        "Sweep__CatchUpNights, which the app reads, is not there",
        at="# Settings",
    ),
    "the reference has one too many": Fault(
        SETTINGS,
        REFERENCE,
        "| `Sweep__CatchUpNights` | `7`",
        "| `Sweep__Nights` | `7` | a |\n| `Sweep__CatchUpNights` | `7`",
        "Sweep__Nights is read by nothing",
        at="| `Sweep__Nights`",
    ),
    "the reference has another default": Fault(
        SETTINGS, REFERENCE, "| `Lease__Seconds` | `30`", "| `Lease__Seconds` | `20`", "the default is 30, not 20"
    ),
    "a document names none": Fault(
        SETTINGS, "README.md", "`Lease__Seconds`", "`Lease__Secs`", "Lease__Secs is no setting"
    ),
    # ---------------------------------------------------------------------------------------------------------- entities
    "a queue by another name": Fault(
        SETTINGS,
        RESOURCES,
        "'runtime-nightly-anomaly-sweep'",
        "'runtime-nightly-sweep'",
        "queue runtime-nightly-anomaly-sweep, which the app uses, is not deployed",
        at="//",
    ),
    "a table is missing": Fault(
        SETTINGS,
        STORAGE,
        "  'AgentIndex'\n",
        "",
        "table AgentIndex, which the app uses, is not deployed",
        where=RESOURCES,
        at="//",
    ),
    "a table that nothing uses": Fault(
        SETTINGS,
        STORAGE,
        "  'AgentIndex'\n",
        "  'AgentIndex'\n  'AgentThings'\n",
        "table AgentThings is used by nothing",
        at="  name: tableName",
    ),
    "a queue with sessions": Fault(
        SETTINGS,
        BUS,
        "requiresSession: false",
        "requiresSession: true",
        "requiresSession is true, by the contract false",
    ),
    "a queue that hides duplicates": Fault(
        SETTINGS,
        BUS,
        "requiresDuplicateDetection: false",
        "requiresDuplicateDetection: true",
        "requiresDuplicateDetection is true",
    ),
    "another consumer group": Fault(
        SETTINGS,
        RESOURCES,
        "'mosaic-money-runtime'",
        "'mosaic-runtime'",
        "consumer group mosaic-money-runtime",
        at="//",
    ),
    "a package container that is not there": Fault(
        SETTINGS,
        APP,
        "'${blobEndpoint}${deploymentContainerName}'",
        "'${blobEndpoint}packages'",
        "the deployment container is packages",
    ),
    "the emulator's queue by another name": Fault(
        SETTINGS,
        "emulators/servicebus.json",
        "runtime-nightly-anomaly-sweep",
        "runtime-nightly",
        "queue runtime-nightly is used by nothing",
    ),
    # --------------------------------------------------------------------------------------------------------- forbidden
    "OpenTelemetry by the wrong switch": Fault(
        SETTINGS,
        APP,
        "  TelemetryHub: hubName",
        "  TelemetryHub: hubName\n  PYTHON_ENABLE_OPENTELEMETRY: 'true'",
        "PYTHON_ENABLE_OPENTELEMETRY must not be set",
        at="  PYTHON_ENABLE",
    ),
    "a worker's runtime on Flex": Fault(
        SETTINGS,
        APP,
        "  TelemetryHub: hubName",
        "  TelemetryHub: hubName\n  FUNCTIONS_WORKER_RUNTIME: 'python'",
        "FUNCTIONS_WORKER_RUNTIME must not be set",
        at="  FUNCTIONS_WORKER_RUNTIME",
    ),
    "a property that Flex refuses": Fault(
        SETTINGS,
        APP,
        "      http20Enabled: true",
        "      http20Enabled: true\n      linuxFxVersion: 'Python|3.13'",
        "linuxFxVersion must not be set",
        at="      linuxFx",
    ),
    "the sample runs from a package": Fault(
        SETTINGS,
        SAMPLE,
        '    "TelemetryHub"',
        '    "WEBSITE_RUN_FROM_PACKAGE": "1",\n    "TelemetryHub"',
        "WEBSITE_RUN_FROM_PACKAGE must not be set",
        at='    "WEBSITE_RUN',
    ),
    "a document sets one": Fault(
        SETTINGS,
        "README.md",
        "## ",
        "Set `WEBSITE_RUN_FROM_PACKAGE` to 1.\n\n## ",
        "WEBSITE_RUN_FROM_PACKAGE must not be set",
        at="Set `WEBSITE",
    ),
    "a document's command sets one": Fault(
        SETTINGS,
        "README.md",
        "## ",
        "Never by hand:\n\n```sh\naz functionapp config appsettings set --settings SCM_DO_BUILD_DURING_DEPLOYMENT=true\n```\n\n## ",
        "SCM_DO_BUILD_DURING_DEPLOYMENT must not be set",
        at="az functionapp",
    ),
    "a workflow sets one": Fault(
        SETTINGS,
        ENVIRONMENT,
        "      DIGEST: ${{ inputs.digest }}",
        "      DIGEST: ${{ inputs.digest }}\n      ENABLE_ORYX_BUILD: 'true'",
        "ENABLE_ORYX_BUILD must not be set",
        at="      ENABLE_ORYX",
    ),
    # -------------------------------------------------------------------------------------------------------- deployment
    "an action by its version": Fault(
        DEPLOYMENT,
        CI,
        "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
        "actions/checkout@v7",
        "is not pinned by a commit's digest",
        at="      - uses: actions/checkout@v7",
    ),
    "an action of nobody knows which version": Fault(
        DEPLOYMENT, CI, "90b1 # v7.0.1", "90b1", "which version this is", at="      - uses: actions/checkout@"
    ),
    "a workflow without permissions": Fault(
        DEPLOYMENT, CI, "permissions:\n  contents: read\n", "", "has no permissions", at="name: CI"
    ),
    "a workflow that may write": Fault(DEPLOYMENT, CI, "  contents: read", "  contents: write", "write for every job"),
    "a job that may write": Fault(
        DEPLOYMENT,
        DEPLOY,
        "    permissions:\n      contents: read\n    uses: ./.github/workflows/ci.yml",
        "    permissions:\n      contents: read\n      packages: write\n    uses: ./.github/workflows/ci.yml",
        "permission packages: write",
        at="      packages: write",
    ),
    "a secret": Fault(
        DEPLOYMENT,
        ENVIRONMENT,
        "${{ vars.AZURE_CLIENT_ID }}",
        "${{ secrets.AZURE_CLIENT_ID }}",
        "the secret AZURE_CLIENT_ID",
    ),
    "a password": Fault(
        DEPLOYMENT,
        ENVIRONMENT,
        "          tenant-id:",
        "          client-secret: abc\n          tenant-id:",
        "client-secret",
        at="          client-secret",
    ),
    "an expression in a script": Fault(
        DEPLOYMENT,
        DEPLOY,
        "      - run: ./mosaic package --out dist",
        "      - run: ./mosaic package --out dist ${{ github.ref }}",
        "an expression within a script",
    ),
    "a key misspelt": Fault(
        DEPLOYMENT, CI, "    timeout-minutes: 60", "    timeout-minute: 60", "has no timeout-minute"
    ),
    "a job that needs nobody": Fault(DEPLOYMENT, DEPLOY, "    needs: ci", "    needs: cl", "needs cl, which is no job"),
    "an output that no job has": Fault(
        DEPLOYMENT, DEPLOY, "${{ needs.build.outputs.digest }}", "${{ needs.build.outputs.sha }}", "has no output sha"
    ),
    "an input that the workflow does not have": Fault(
        DEPLOYMENT, DEPLOY, "      apply: true", "      aply: true", "has no input aply"
    ),
    "a remote build": Fault(
        DEPLOYMENT,
        ENVIRONMENT,
        "        run: ./mosaic publish ",
        "        run: func azure functionapp publish ",
        "--no-build",
    ),
    "the digest is looked at by nobody": Fault(
        DEPLOYMENT,
        ENVIRONMENT,
        "${{ inputs.digest }}",
        "${{ github.sha }}",
        "input digest is used by nothing",
        at="      digest:",
    ),
    "Azure without an environment's rules": Fault(
        DEPLOYMENT,
        ENVIRONMENT,
        "    environment: ${{ inputs.environment }}\n",
        "",
        "outside of an environment",
        at="      - uses: azure/login",
    ),
    "a script that is not there": Fault(
        DEPLOYMENT, ENVIRONMENT, "      - run: .ci/bicep", "      - run: .ci/biceps", ".ci/biceps is not there"
    ),
    "a deployment cut off half-way": Fault(
        DEPLOYMENT,
        DEPLOY,
        "cancel-in-progress: false",
        "cancel-in-progress: true",
        "is not to be cancelled half-way",
        at="concurrency:",
    ),
    "the token stays behind": Fault(
        DEPLOYMENT,
        CI,
        "persist-credentials: false",
        "fetch-depth: 0",
        "leaves its token behind",
        at="      - uses: actions/checkout",
    ),
    "a stranger's code with our rights": Fault(
        DEPLOYMENT, CI, "  pull_request:", "  pull_request_target:", "pull_request_target runs"
    ),
    "production without staging": Fault(
        DEPLOYMENT,
        DEPLOY,
        "    needs: [build, staging, plan]",
        "    needs: [build]",
        "production does not wait for staging",
        at="  production:",
    ),
    "a type of input that does not exist": Fault(
        DEPLOYMENT, ENVIRONMENT, "        type: boolean", "        type: bool", "no type bool"
    ),
    "azd builds it": Fault(
        DEPLOYMENT, "azure.yaml", "remoteBuild: false", "remoteBuild: true", "remoteBuild has to be false"
    ),
    "a service that no site is": Fault(
        DEPLOYMENT, "azure.yaml", "  app:", "  api:", "no site has the tag azd-service-name 'api'"
    ),
    "a key that azd does not know": Fault(
        DEPLOYMENT, "azure.yaml", "    project:", "    projekt:", "azd knows no projekt"
    ),
    "a hook that azd does not know": Fault(
        DEPLOYMENT, "azure.yaml", "  postprovision:", "  postProvision:", "azd knows no hook postProvision"
    ),
    "a hook's command that does not exist": Fault(
        DEPLOYMENT, "azure.yaml", "    run: ./mosaic package", "    run: ./mosaic pack", "has no command pack"
    ),
    "a hook reads what nobody gives": Fault(
        DEPLOYMENT, "azure.yaml", '"$AZURE_FUNCTION_APP_NAME"', '"$AZURE_APP_NAME"', "AZURE_APP_NAME is no output"
    ),
    "an output of the template that is not there": Fault(
        DEPLOYMENT, ENVIRONMENT, "$AZURE_FUNCTION_APP_URL", "$AZURE_FUNCTION_URL", "AZURE_FUNCTION_URL is no output"
    ),
}

HARMLESS: Mapping[str, tuple[Edit, ...]] = {
    "a comment with all that a parser may trip over": (
        Edit(
            STORAGE,
            "resource account ",
            "// { [ ( 'it''s ${x} , */\n/* WEBSITE_RUN_FROM_PACKAGE: ' \n } */\nresource account ",
        ),
    ),
    "another tag": (
        Edit(MAIN, "{ 'azd-env-name': environmentName }", "{ 'azd-env-name': environmentName, owner: 'platform' }"),
    ),
    "an object over lines": (
        Edit(
            MAIN,
            "{ 'azd-env-name': environmentName }",
            "{\n  'azd-env-name': environmentName\n  'cost-centre': '4711'\n}",
        ),
    ),
    "an array on lines": (
        Edit(NETWORK, "['443', '5671', '5672']", "[\n  '443'\n  '5671' // AMQP over TLS\n  '5672'\n]"),
    ),
    "arguments on lines": (
        Edit(
            RESOURCES,
            "uniqueString(subscription().id, resourceGroup().id, environmentName)",
            "uniqueString(\n  subscription().id,\n  resourceGroup().id,\n  environmentName\n)",
        ),
    ),
    "calls and indices in an array": (
        Edit(NETWORK, "addressPrefixes: [addressPrefix]", "addressPrefixes: [toLower(addressPrefix)]"),
    ),
    "a truth value through a variable": (
        Edit(BUS, "disableLocalAuth: true", "disableLocalAuth: noKeys"),
        Edit(BUS, "resource namespace ", "var noKeys = true\n\nresource namespace "),
    ),
    "a condition turned round": (
        Edit(BUS, "privateNetworking ? 'Disabled' : 'Enabled'", "!privateNetworking ? 'Enabled' : 'Disabled'"),
    ),
    "a condition through a variable": (
        Edit(HUBS, "privateNetworking ? 'Disabled' : 'Enabled'", "access"),
        Edit(
            HUBS,
            "resource namespace ",
            "var access = privateNetworking == true ? 'Disabled' : 'Enabled'\n\nresource namespace ",
        ),
    ),
    "newer TLS": (Edit(STORAGE, "'TLS1_2'", "'TLS1_3'"),),
    "another name of a symbol": (
        Edit(LOGS, "resource workspace ", "resource logs "),
        Edit(LOGS, "WorkspaceResourceId: workspace.id", "WorkspaceResourceId: logs.id"),
        Edit(LOGS, "scope: workspace", "scope: logs"),
        Edit(LOGS, "workspaceId: workspace.id", "workspaceId: logs.id"),
        Edit(LOGS, "= workspace.id", "= logs.id"),
        Edit(LOGS, "= workspace.properties.customerId", "= logs.properties.customerId"),
        Edit(LOGS, "= workspace.name", "= logs.name"),
    ),
    "one more output": (
        Edit(STORAGE, "output id string", "output location string = account.location\noutput id string"),
    ),
    "one more parameter with a default": (
        Edit(
            LOGS,
            "param retentionDays int",
            "param retentionDays int\n\n@description('Whether addresses are masked.')\nparam maskAddresses bool = true",
        ),
        Edit(LOGS, "DisableIpMasking: false", "DisableIpMasking: !maskAddresses"),
    ),
    "longer retention": (Edit(HUBS, "retentionTimeInHours: 168", "retentionTimeInHours: 24 * 3"),),
    "a lock of half a minute": (Edit(HUBS, "cleanupPolicy: 'Delete'", "cleanupPolicy: 'Compact'"),),
    "another description": (
        Edit(
            APP,
            "@description('Name of the app.')",
            "@description('The app\\'s name; WEBSITE_TIME_ZONE has no place here.')",
        ),
    ),
    "a setting with a default": (
        Edit(
            APP,
            "  TelemetryHub: hubName",
            "  TelemetryHub: hubName\n  Lease__Seconds: '45'\n  Lease__RenewSeconds: string(15)",
        ),
    ),
    "a setting of a library": (
        Edit(APP, "  TelemetryHub: hubName", "  TelemetryHub: hubName\n  OTEL_SERVICE_NAME: 'runtime'"),
    ),
    "queues in a loop": (
        Edit(
            BUS,
            "resource sweepQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {\n  parent: namespace\n  name: sweepQueueName\n  properties: queueProperties\n}",
            "resource sweepQueues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [for each in [sweepQueueName]: {\n  parent: namespace\n  name: each\n  properties: queueProperties\n}]",
        ),
        Edit(BUS, "= sweepQueue.name", "= sweepQueueName"),
    ),
    "a nested child": (
        Edit(
            HUBS,
            "    }\n  }\n}\n\nresource consumerGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = {\n  parent: hub\n  name: consumerGroupName\n  properties: {}\n}",
            "    }\n  }\n\n  resource consumerGroup 'consumergroups' = {\n    name: consumerGroupName\n    properties: {}\n  }\n}",
        ),
        Edit(HUBS, "= consumerGroup.name", "= hub::consumerGroup.name"),
    ),
    "a rule for inner traffic": (
        Edit(
            NETWORK, "sourceAddressPrefix: 'VirtualNetwork'", "sourceAddressPrefixes: ['10.0.0.0/8', 'VirtualNetwork']"
        ),
    ),
    "an output's condition": (
        Edit(RESOURCES, "network!.outputs.endpointSubnetId : ''", "network.?outputs.?endpointSubnetId ?? '' : ''"),
    ),
    "a job more": (
        Edit(
            CI,
            "  bicep:\n",
            "  lint:\n    runs-on: ubuntu-24.04\n    timeout-minutes: 5\n    steps:\n      - run: echo lint\n\n  bicep:\n",
        ),
    ),
    "a later version of an action": (
        Edit(
            CI, "5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0", "0123456789abcdef0123456789abcdef01234567 # v7.1.0"
        ),
    ),
    "a function of one's own": (
        Edit(
            RESOURCES,
            "var resourceToken",
            "func named(kind string, name string) string => '${kind}-${toLower(name)}'\n\nvar groupLabel = named('group', environmentName)\nvar resourceToken",
        ),
        Edit(
            RESOURCES,
            "output functionAppName string",
            "output label string = groupLabel\noutput functionAppName string",
        ),
    ),
    "a type of one's own": (
        Edit(
            STORAGE,
            "param accessLogs bool",
            "type logging = {\n  reads: bool\n  writes: bool?\n}\n\nparam log logging = { reads: false }\n\nparam accessLogs bool",
        ),
        Edit(STORAGE, "        enabled: accessLogs", "        enabled: log.reads || (log.?writes ?? accessLogs)"),
    ),
    "a name cut to its length": (
        Edit(RESOURCES, "'st${resourceToken}'", "take('st${replace(environmentName, '-', '')}${resourceToken}', 24)"),
    ),
    "settings by way of a variable": (
        Edit(APP, "  properties: union(extraAppSettings, ownSettings)", "  properties: allSettings"),
        Edit(APP, "resource settings ", "var allSettings = union(extraAppSettings, ownSettings)\n\nresource settings "),
    ),
    "access as a text": (
        Edit(
            RESOURCES,
            "    privateNetworking: privateNetworking\n    ingestionQueueName",
            "    publicAccess: privateNetworking ? 'Disabled' : 'Enabled'\n    ingestionQueueName",
        ),
        Edit(BUS, "param privateNetworking bool", "param publicAccess string"),
        Edit(
            BUS, "publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'", "publicNetworkAccess: publicAccess"
        ),
    ),
    "a ternary over lines": (
        Edit(RESOURCES, "= zoneRedundant ? zonalSku : storageSku", "= zoneRedundant\n  ? zonalSku\n  : storageSku"),
    ),
    "a job over a matrix": (
        Edit(
            CI,
            "    runs-on: ubuntu-24.04\n    timeout-minutes: 60",
            "    strategy:\n      matrix:\n        os: [ubuntu-24.04]\n    runs-on: ${{ matrix.os }}\n    timeout-minutes: 60",
        ),
    ),
    "a document that warns": (Edit("README.md", "## ", "Never set `PYTHON_ENABLE_OPENTELEMETRY`.\n\n## "),),
    "a document that names a setting": (
        Edit("README.md", "## ", "With `Sweep__HourUtc` at 3 sweeps begin at three.\n\n## "),
    ),
}
