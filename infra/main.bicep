// The whole environment, at subscription scope, as `azd provision` deploys it: a resource group, and in it
// resources.bicep.
targetScope = 'subscription'

@description('Name of the environment (dev, staging, prod): lower-case letters, digits and hyphens. Part of every resource\'s name.')
@minLength(3)
@maxLength(24)
param environmentName string

@description('Azure region. It has to offer Flex Consumption with Python 3.13 and, where zoneRedundant is on, zones.')
@minLength(1)
param location string

@description('Name of the resource group.')
@minLength(1)
@maxLength(90)
param resourceGroupName string = 'rg-${environmentName}'

@description('Tags of every resource, in addition to azd-env-name.')
param tags object = {}

@description('Object id of the person, group or service principal that deploys and looks after this environment; may act in any household\'s name. Empty: nobody but the app gets a data role.')
@maxLength(36)
param principalId string = ''

@description('What principalId is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string = 'User'

@description('Issuer that callers\' tokens have to name, as an https URL (what infra/scripts/register-entra-app.sh prints).')
@minLength(9)
param authIssuer string

@description('Audience that callers\' tokens have to name (what infra/scripts/register-entra-app.sh prints).')
@minLength(1)
param authAudience string

@description('Where the issuer publishes its signing keys, as an https URL (what infra/scripts/register-entra-app.sh prints).')
@minLength(9)
param authJwksUri string

@description('Tier of Service Bus. With privateNetworking it is Premium whatever this says: Standard has no private endpoints.')
@allowed(['Standard', 'Premium'])
param serviceBusSku string = 'Standard'

@description('Messaging units of Service Bus; Premium only.')
@allowed([1, 2, 4, 8, 16])
param serviceBusCapacity int = 1

@description('Throughput units of Event Hubs to begin with.')
@minValue(1)
@maxValue(40)
param eventHubsThroughputUnits int = 1

@description('Throughput units that Event Hubs may grow to by itself. At least eventHubsThroughputUnits.')
@minValue(1)
@maxValue(40)
param eventHubsMaximumThroughputUnits int = 4

@description('Partitions of the telemetry hub. Cannot be changed later.')
@minValue(1)
@maxValue(32)
param eventHubPartitions int = 4

@description('Redundancy of the storage account. With zoneRedundant a kind without zones becomes its counterpart with zones.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Whether storage logs each read and write of blobs and tables, not deletions alone. Many times the volume of all other logs.')
param storageAccessLogs bool = false

@description('Memory of one instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Most instances that the app may scale out to, over all of its functions. The platform takes nothing below 40.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('Instances that are kept running, as objects with name (http, function:ingestion_lane, function:conversation_lane or function:sweep_lane) and instanceCount. Each is billed while idle.')
param alwaysReady array = []

@description('HTTP requests that one instance serves at once before another is added.')
@minValue(1)
@maxValue(1000)
param httpPerInstanceConcurrency int = 16

@description('Origins whose web pages may ask the API, as scheme, host and port. Empty: no page of another origin. The platform answers for the app, which never sees a preflight.')
param corsOrigins array = []

@description('Whether pages of corsOrigins may send cookies. The API itself wants a bearer token and no cookie.')
param corsCredentials bool = false

@description('Whether the app and its storage are spread over zones. The platform then keeps two instances ready for each group of functions, which are billed.')
param zoneRedundant bool = false

@description('How an update reaches running instances. Set after provisioning by infra/scripts/update-strategy.sh.')
@allowed(['Recreate', 'RollingUpdate'])
param updateStrategy string = 'Recreate'

@description('App settings beyond those that this template sets (docs/reference/settings.md), as a map of strings. What the template sets itself wins.')
param extraAppSettings object = {}

@description('Object ids of the service principals that may send to the ingestion queue past the API.')
param ingestionProducerPrincipalIds array = []

@description('Whether everything is reached through private endpoints alone. Deploy from a runner inside the network then.')
param privateNetworking bool = false

@description('Address space of the virtual network; privateNetworking only.')
@minLength(9)
@maxLength(18)
param virtualNetworkPrefix string = '10.80.0.0/22'

@description('The app\'s subnet, within virtualNetworkPrefix, used by nothing else; privateNetworking only.')
@minLength(9)
@maxLength(18)
param appSubnetPrefix string = '10.80.0.0/23'

@description('The private endpoints\' subnet, within virtualNetworkPrefix; privateNetworking only.')
@minLength(9)
@maxLength(18)
param endpointSubnetPrefix string = '10.80.2.0/27'

@description('E-mail addresses that alerts go to. Empty: alerts are seen in the Portal alone.')
param alertEmails array = []

@description('Days that the workspace keeps logs.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Gigabytes a day after which the workspace takes no more logs; -1: no limit.')
@minValue(-1)
@maxValue(4000)
param dailyQuotaGb int = 5

var allTags = union(tags, { 'azd-env-name': environmentName })

resource resourceGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module resources 'resources.bicep' = {
  name: 'resources'
  scope: resourceGroup
  params: {
    environmentName: environmentName
    location: location
    tags: allTags
    principalId: principalId
    principalType: principalType
    authIssuer: authIssuer
    authAudience: authAudience
    authJwksUri: authJwksUri
    serviceBusSku: serviceBusSku
    serviceBusCapacity: serviceBusCapacity
    eventHubsThroughputUnits: eventHubsThroughputUnits
    eventHubsMaximumThroughputUnits: eventHubsMaximumThroughputUnits
    eventHubPartitions: eventHubPartitions
    storageSku: storageSku
    storageAccessLogs: storageAccessLogs
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    httpPerInstanceConcurrency: httpPerInstanceConcurrency
    corsOrigins: corsOrigins
    corsCredentials: corsCredentials
    zoneRedundant: zoneRedundant
    updateStrategy: updateStrategy
    extraAppSettings: extraAppSettings
    ingestionProducerPrincipalIds: ingestionProducerPrincipalIds
    privateNetworking: privateNetworking
    virtualNetworkPrefix: virtualNetworkPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    alertEmails: alertEmails
    logRetentionDays: logRetentionDays
    dailyQuotaGb: dailyQuotaGb
  }
}

// azd keeps these as the environment's values; scripts and the workflow read them from there.
output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = resourceGroup.name
output AZURE_FUNCTION_APP_NAME string = resources.outputs.functionAppName
output AZURE_FUNCTION_APP_URL string = resources.outputs.functionAppUrl
output AZURE_APP_CLIENT_ID string = resources.outputs.identityClientId
output AZURE_SERVICE_BUS_HOST string = resources.outputs.serviceBusHost
output AZURE_SERVICE_BUS_SKU string = resources.outputs.serviceBusSku
output AZURE_EVENT_HUBS_HOST string = resources.outputs.eventHubsHost
output AZURE_STORAGE_ACCOUNT_NAME string = resources.outputs.storageAccountName
output AZURE_TABLES_ENDPOINT string = resources.outputs.tablesEndpoint
output AZURE_BLOBS_ENDPOINT string = resources.outputs.blobsEndpoint
output AZURE_LOG_ANALYTICS_WORKSPACE_ID string = resources.outputs.workspaceCustomerId
output AZURE_APPLICATION_INSIGHTS_NAME string = resources.outputs.applicationInsightsName
output AZURE_UPDATE_STRATEGY string = resources.outputs.updateStrategy
