// The command queues. Nobody gets in by a key: local authentication is off.

@description('Name of the namespace.')
@minLength(6)
@maxLength(50)
param name string

@description('Azure region.')
param location string

@description('Tags of the namespace.')
param tags object

@description('Tier of the namespace.')
@allowed(['Standard', 'Premium'])
param sku string

@description('Messaging units; Premium only.')
@allowed([1, 2, 4, 8, 16])
param capacity int

@description('Whether the namespace is reached through private endpoints alone; Premium only.')
param privateNetworking bool

@description('Name of the ingestion lane\'s queue.')
@minLength(1)
@maxLength(260)
param ingestionQueueName string

@description('Name of the conversation lane\'s queue.')
@minLength(1)
@maxLength(260)
param conversationQueueName string

@description('Name of the sweep lane\'s queue.')
@minLength(1)
@maxLength(260)
param sweepQueueName string

@description('Resource id of the workspace that takes the logs.')
param workspaceId string

// The app owns idempotency and has to see duplicates, so the broker detects none.
var queueProperties = {
  lockDuration: 'PT1M'
  maxDeliveryCount: 10
  defaultMessageTimeToLive: 'P14D'
  deadLetteringOnMessageExpiration: true
  requiresDuplicateDetection: false
  requiresSession: false
  enablePartitioning: false
  maxSizeInMegabytes: 5120
}

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
    tier: sku
    capacity: sku == 'Premium' ? capacity : null
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
  }
}

resource ingestionQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: ingestionQueueName
  properties: queueProperties
}

resource conversationQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: conversationQueueName
  properties: queueProperties
}

resource sweepQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: sweepQueueName
  properties: queueProperties
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output id string = namespace.id
output name string = namespace.name
output host string = '${namespace.name}.servicebus.windows.net'
output ingestionQueueName string = ingestionQueue.name
output conversationQueueName string = conversationQueue.name
output sweepQueueName string = sweepQueue.name
