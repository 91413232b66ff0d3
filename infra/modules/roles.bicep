// Who may do what with data: every role assignment of the environment, and the reason for each.
//
// Nobody but the app's identity may send to the conversation and sweep queues. Names are built from the scope, the
// principal and the role, so that a repeated deployment finds its own assignments, and an identity that was made anew
// does not collide with those of the one before it.

@description('Principal id of the app\'s identity.')
param appPrincipalId string

@description('Object id of whoever deploys and looks after the environment. Empty: nobody.')
@maxLength(36)
param principalId string

@description('What principalId is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string

@description('Object ids of the service principals that may send to the ingestion queue past the API.')
param ingestionProducerPrincipalIds array

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param storageAccountName string

@description('Name of the Service Bus namespace.')
@minLength(6)
@maxLength(50)
param serviceBusNamespaceName string

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

@description('Name of the Event Hubs namespace.')
@minLength(6)
@maxLength(50)
param eventHubsNamespaceName string

@description('Name of the telemetry hub.')
@minLength(1)
@maxLength(256)
param hubName string

@description('Name of the Application Insights component.')
@minLength(1)
@maxLength(260)
param componentName string

@description('Name of the Log Analytics workspace.')
@minLength(4)
@maxLength(63)
param workspaceName string

var roles = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  serviceBusDataOwner: '090c5cfd-751d-490a-894a-3ce6f1109419'
  serviceBusDataReceiver: '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
  serviceBusDataSender: '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
  eventHubsDataReceiver: 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
  eventHubsDataSender: '2b629674-e913-4c01-ae53-ef4638d8f975'
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  logAnalyticsReader: '73c42c96-874c-492b-b04d-ab87d138a893'
}

// What principalId may read and write: the first household and its members, and what the smoke test follows a command
// by. No ledger, no conversation, no approval and no audit is opened.
var openTables = [
  'Households'
  'HouseholdMembers'
  'AgentCommands'
  'AgentIndex'
  'AgentRuns'
  'AgentRunStages'
  'AgentSignals'
]
var opened = empty(principalId) ? [] : openTables

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' existing = [for table in opened: {
  parent: tableService
  name: table
}]

resource serviceBusNamespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: serviceBusNamespaceName
}

resource ingestionQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = {
  parent: serviceBusNamespace
  name: ingestionQueueName
}

resource conversationQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = {
  parent: serviceBusNamespace
  name: conversationQueueName
}

resource sweepQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = {
  parent: serviceBusNamespace
  name: sweepQueueName
}

resource eventHubsNamespace 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: eventHubsNamespaceName
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' existing = {
  parent: eventHubsNamespace
  name: hubName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

// ------------------------------------------------------------------------------------------------------------ the app

// The host keeps its locks and timers in containers that it makes itself, and uploads the package: the whole account.
resource appBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, roles.blobDataOwner)
  scope: account
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataOwner)
    description: 'Host storage, deployment package and payloads of the runtime'
  }
}

// The host makes a table for its diagnostic events: the whole account.
resource appTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, roles.tableDataContributor)
  scope: account
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.tableDataContributor)
    description: 'Tables of the runtime and the host\'s diagnostic events'
  }
}

// Owner of each queue rather than receiver and sender: the scaler reads a queue's length, which takes Manage.
resource appIngestionQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(ingestionQueue.id, appPrincipalId, roles.serviceBusDataOwner)
  scope: ingestionQueue
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataOwner)
    description: 'Ingestion lane: receive, send copies, scale by the queue\'s length'
  }
}

resource appConversationQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(conversationQueue.id, appPrincipalId, roles.serviceBusDataOwner)
  scope: conversationQueue
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataOwner)
    description: 'Conversation lane: receive, send copies, scale by the queue\'s length'
  }
}

resource appSweepQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(sweepQueue.id, appPrincipalId, roles.serviceBusDataOwner)
  scope: sweepQueue
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataOwner)
    description: 'Sweep lane: receive, send copies, scale by the queue\'s length'
  }
}

resource appHub 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hub.id, appPrincipalId, roles.eventHubsDataSender)
  scope: hub
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventHubsDataSender)
    description: 'Telemetry events of the runtime'
  }
}

resource appTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, appPrincipalId, roles.metricsPublisher)
  scope: component
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.metricsPublisher)
    description: 'Requests, spans and logs of the runtime'
  }
}

// ------------------------------------------------------------------------------------------- senders past the API

// Senders of the ingestion queue: producers, and whoever looks after the environment, for the smoke test's message that
// no worker can read. One list, without repetitions: Azure refuses a second assignment of a role to the same principal.
var producerIds = [for producer in ingestionProducerPrincipalIds: toLower(producer)]
var ingestionSenders = union(producerIds, empty(principalId) ? [] : [toLower(principalId)])

resource ingestionSending 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for sender in ingestionSenders: {
  name: guid(ingestionQueue.id, sender, roles.serviceBusDataSender)
  scope: ingestionQueue
  properties: {
    principalId: sender
    principalType: sender == toLower(principalId) ? principalType : 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataSender)
    description: 'Ingestions past the API'
  }
}]

// ---------------------------------------------------------------------------------------------- whoever looks after it

// Dead letters are read, and the smoke test's own is removed, by receivers. A receiver sends nothing.
resource personIngestionQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {
  name: guid(ingestionQueue.id, principalId, roles.serviceBusDataReceiver)
  scope: ingestionQueue
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
    description: 'Dead letters of the ingestion lane'
  }
}

resource personConversationQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {
  name: guid(conversationQueue.id, principalId, roles.serviceBusDataReceiver)
  scope: conversationQueue
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
    description: 'Dead letters of the conversation lane'
  }
}

resource personSweepQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {
  name: guid(sweepQueue.id, principalId, roles.serviceBusDataReceiver)
  scope: sweepQueue
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
    description: 'Dead letters of the sweep lane'
  }
}

resource personTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (table, index) in opened: {
  name: guid(tables[index].id, principalId, roles.tableDataContributor)
  scope: tables[index]
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.tableDataContributor)
    description: 'Households, members and the smoke test'
  }
}]

resource personHub 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {
  name: guid(hub.id, principalId, roles.eventHubsDataReceiver)
  scope: hub
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventHubsDataReceiver)
    description: 'Following the runtime\'s events'
  }
}

resource personLogs 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {
  name: guid(workspace.id, principalId, roles.logAnalyticsReader)
  scope: workspace
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.logAnalyticsReader)
    description: 'Queries over logs and traces'
  }
}
