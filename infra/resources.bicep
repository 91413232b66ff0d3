// Everything of one environment, in one resource group. main.bicep makes the group and calls this; it works alone too:
// az deployment group create --resource-group <group> --template-file infra/resources.bicep --parameters …

@description('Name of the environment (dev, staging, prod): lower-case letters, digits and hyphens. Part of every resource\'s name.')
@minLength(3)
@maxLength(24)
param environmentName string

@description('Azure region. It has to offer Flex Consumption with Python 3.13 and, where zoneRedundant is on, zones.')
@minLength(1)
param location string = resourceGroup().location

@description('Tags of every resource.')
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

var resourceToken = uniqueString(subscription().id, resourceGroup().id, environmentName)
var storageAccountName = 'st${resourceToken}'
var serviceBusNamespaceName = 'sb-${environmentName}-${resourceToken}'
var eventHubsNamespaceName = 'eh-${environmentName}-${resourceToken}'
var workspaceName = 'log-${environmentName}-${resourceToken}'
var componentName = 'appi-${environmentName}-${resourceToken}'

// The contract's names.
var ingestionQueueName = 'runtime-ingestion-completed'
var conversationQueueName = 'runtime-agent-message-posted'
var sweepQueueName = 'runtime-nightly-anomaly-sweep'
var hubName = 'runtime-telemetry-stream'
var consumerGroupName = 'mosaic-money-runtime'

// Standard has no private endpoints, and no environment is left half open: the tier follows.
var serviceBusTier = privateNetworking ? 'Premium' : serviceBusSku

// A zone that fails must not take the only copies of the account with it.
var zonalSku = storageSku == 'Standard_GRS' || storageSku == 'Standard_GZRS' ? 'Standard_GZRS' : 'Standard_ZRS'
var accountSku = zoneRedundant ? zonalSku : storageSku

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: {
    name: 'id-${environmentName}-${resourceToken}'
    location: location
    tags: tags
  }
}

module observability 'modules/observability.bicep' = {
  name: 'observability'
  params: {
    workspaceName: workspaceName
    componentName: componentName
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyQuotaGb: dailyQuotaGb
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: storageAccountName
    location: location
    tags: tags
    sku: accountSku
    privateNetworking: privateNetworking
    deploymentContainerName: 'deployment-packages'
    payloadContainerName: 'runtime-payloads'
    accessLogs: storageAccessLogs
    workspaceId: observability.outputs.workspaceId
  }
}

module serviceBus 'modules/servicebus.bicep' = {
  name: 'servicebus'
  params: {
    name: serviceBusNamespaceName
    location: location
    tags: tags
    sku: serviceBusTier
    capacity: serviceBusCapacity
    privateNetworking: privateNetworking
    ingestionQueueName: ingestionQueueName
    conversationQueueName: conversationQueueName
    sweepQueueName: sweepQueueName
    workspaceId: observability.outputs.workspaceId
  }
}

module eventHubs 'modules/eventhubs.bicep' = {
  name: 'eventhubs'
  params: {
    name: eventHubsNamespaceName
    location: location
    tags: tags
    hubName: hubName
    consumerGroupName: consumerGroupName
    throughputUnits: eventHubsThroughputUnits
    maximumThroughputUnits: eventHubsMaximumThroughputUnits
    partitions: eventHubPartitions
    privateNetworking: privateNetworking
    workspaceId: observability.outputs.workspaceId
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  params: {
    appPrincipalId: identity.outputs.principalId
    principalId: principalId
    principalType: principalType
    ingestionProducerPrincipalIds: ingestionProducerPrincipalIds
    storageAccountName: storage.outputs.name
    serviceBusNamespaceName: serviceBus.outputs.name
    ingestionQueueName: serviceBus.outputs.ingestionQueueName
    conversationQueueName: serviceBus.outputs.conversationQueueName
    sweepQueueName: serviceBus.outputs.sweepQueueName
    eventHubsNamespaceName: eventHubs.outputs.name
    hubName: eventHubs.outputs.hubName
    componentName: observability.outputs.componentName
    workspaceName: observability.outputs.workspaceName
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  params: {
    name: 'vnet-${environmentName}-${resourceToken}'
    location: location
    tags: tags
    addressPrefix: virtualNetworkPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
  }
}

var endpointSubnetId = privateNetworking ? network!.outputs.endpointSubnetId : ''

module blobEndpoint 'modules/endpoint.bicep' = if (privateNetworking) {
  name: 'endpoint-blob'
  params: {
    name: 'pe-blob-${environmentName}-${resourceToken}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    serviceId: storage.outputs.id
    groupId: 'blob'
    zoneId: privateNetworking ? network!.outputs.blobZoneId : ''
  }
}

module tableEndpoint 'modules/endpoint.bicep' = if (privateNetworking) {
  name: 'endpoint-table'
  params: {
    name: 'pe-table-${environmentName}-${resourceToken}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    serviceId: storage.outputs.id
    groupId: 'table'
    zoneId: privateNetworking ? network!.outputs.tableZoneId : ''
  }
}

module serviceBusEndpoint 'modules/endpoint.bicep' = if (privateNetworking) {
  name: 'endpoint-servicebus'
  params: {
    name: 'pe-servicebus-${environmentName}-${resourceToken}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    serviceId: serviceBus.outputs.id
    groupId: 'namespace'
    zoneId: privateNetworking ? network!.outputs.messagingZoneId : ''
  }
}

module eventHubsEndpoint 'modules/endpoint.bicep' = if (privateNetworking) {
  name: 'endpoint-eventhubs'
  params: {
    name: 'pe-eventhubs-${environmentName}-${resourceToken}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    serviceId: eventHubs.outputs.id
    groupId: 'namespace'
    zoneId: privateNetworking ? network!.outputs.messagingZoneId : ''
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    name: 'func-${environmentName}-${resourceToken}'
    planName: 'plan-${environmentName}-${resourceToken}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    httpPerInstanceConcurrency: httpPerInstanceConcurrency
    corsOrigins: corsOrigins
    corsCredentials: corsCredentials
    zoneRedundant: zoneRedundant
    privateNetworking: privateNetworking
    appSubnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    blobEndpoint: storage.outputs.blobEndpoint
    queueEndpoint: storage.outputs.queueEndpoint
    tableEndpoint: storage.outputs.tableEndpoint
    deploymentContainerName: storage.outputs.deploymentContainerName
    serviceBusHost: serviceBus.outputs.host
    ingestionQueueName: serviceBus.outputs.ingestionQueueName
    conversationQueueName: serviceBus.outputs.conversationQueueName
    sweepQueueName: serviceBus.outputs.sweepQueueName
    eventHubsHost: eventHubs.outputs.host
    hubName: eventHubs.outputs.hubName
    componentName: observability.outputs.componentName
    workspaceId: observability.outputs.workspaceId
    authIssuer: authIssuer
    authAudience: authAudience
    authJwksUri: authJwksUri
    extraAppSettings: extraAppSettings
  }
  // The app fetches its package and opens its connections as soon as it is there.
  dependsOn: [
    roles
    blobEndpoint
    tableEndpoint
    serviceBusEndpoint
    eventHubsEndpoint
  ]
}

module siteEndpoint 'modules/endpoint.bicep' = if (privateNetworking) {
  name: 'endpoint-site'
  params: {
    name: 'pe-site-${environmentName}-${resourceToken}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    serviceId: app.outputs.id
    groupId: 'sites'
    zoneId: privateNetworking ? network!.outputs.siteZoneId : ''
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    componentId: observability.outputs.componentId
    serviceBusNamespaceId: serviceBus.outputs.id
    eventHubsNamespaceId: eventHubs.outputs.id
    storageAccountId: storage.outputs.id
    queueNames: [
      ingestionQueueName
      conversationQueueName
      sweepQueueName
    ]
    alertEmails: alertEmails
  }
}

output functionAppName string = app.outputs.name
output functionAppUrl string = app.outputs.url
output identityClientId string = identity.outputs.clientId
output serviceBusHost string = serviceBus.outputs.host
output serviceBusSku string = serviceBusTier
output eventHubsHost string = eventHubs.outputs.host
output storageAccountName string = storage.outputs.name
output tablesEndpoint string = storage.outputs.tableEndpoint
output blobsEndpoint string = storage.outputs.blobEndpoint
output workspaceCustomerId string = observability.outputs.workspaceCustomerId
output applicationInsightsName string = observability.outputs.componentName
output updateStrategy string = updateStrategy
