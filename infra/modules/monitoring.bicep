// What tells a person that something is wrong, and where they look then: alerts, a workbook, saved queries.
//
// The texts of the queries and of the workbook stand in ../monitoring, each once. A log alert's query gives a row for
// each thing that is wrong and none where all is well, so that a rule counts rows and the query, run by hand, shows them.

@description('Names the environment; part of the names of what is made here.')
@minLength(3)
@maxLength(24)
param environmentName string

@description('Region of the log alerts and the workbook: the workspace\'s.')
param location string

@description('Tags of everything that is made here.')
param tags object

@description('Log Analytics workspace that the app\'s telemetry goes to: its resource id.')
param workspaceId string

@description('Application Insights component that the workbook is shown with: its resource id.')
param componentId string

@description('Service Bus namespace: its resource id.')
param serviceBusNamespaceId string

@description('Event Hubs namespace: its resource id.')
param eventHubsNamespaceId string

@description('Storage account of the tables: its resource id.')
param storageAccountId string

@description('The lanes\' queues, whose dead letters are watched.')
param queueNames array

@description('Addresses that alerts are sent to. None: no action group; alerts are shown in the Portal alone.')
param alertEmails array = []

var actionGroupName = 'ag-mosaic-${environmentName}'
var actionGroupId = resourceId('Microsoft.Insights/actionGroups', actionGroupName)
var actionGroupIds = empty(alertEmails) ? [] : [actionGroupId]
var metricActions = empty(alertEmails) ? [] : [{ actionGroupId: actionGroupId }]

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmails)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'mosaic'
    enabled: true
    emailReceivers: [for (address, index) in alertEmails: {
      name: 'email-${index}'
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

// ------------------------------------------------------------------------------------------------------- metric alerts

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-${environmentName}-dead-letters'
  location: 'global'
  tags: tags
  properties: {
    description: 'A lane has dead letters, each a command that somebody has to look at. It stays until the queue is empty.'
    severity: 1
    enabled: true
    scopes: [serviceBusNamespaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'deadLetters'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          metricName: 'DeadletteredMessages'
          timeAggregation: 'Maximum'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'EntityName'
              operator: 'Include'
              values: queueNames
            }
          ]
        }
      ]
    }
    autoMitigate: true
    actions: metricActions
  }
  dependsOn: [actionGroup]
}

resource serviceBusThrottled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-${environmentName}-throttled-service-bus'
  location: 'global'
  tags: tags
  properties: {
    description: 'Service Bus refuses requests for their number: commands wait longer than they have to.'
    severity: 3
    enabled: true
    scopes: [serviceBusNamespaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          metricName: 'ThrottledRequests'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    actions: metricActions
  }
  dependsOn: [actionGroup]
}

resource eventHubsThrottled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-${environmentName}-throttled-event-hubs'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Hubs refuses events for their number: what the stream does not take within minutes is lost.'
    severity: 3
    enabled: true
    scopes: [eventHubsNamespaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled'
          metricNamespace: 'Microsoft.EventHub/namespaces'
          metricName: 'ThrottledRequests'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    actions: metricActions
  }
  dependsOn: [actionGroup]
}

resource storageThrottled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-${environmentName}-throttled-storage'
  location: 'global'
  tags: tags
  properties: {
    description: 'Storage refuses requests for their number: attempts are put off.'
    severity: 3
    enabled: true
    scopes: [storageAccountId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled'
          metricNamespace: 'Microsoft.Storage/storageAccounts'
          metricName: 'Transactions'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'ResponseType'
              operator: 'Include'
              values: [
                'ServerBusyError'
                'ClientThrottlingError'
                'ClientAccountRequestThrottlingError'
                'ClientAccountBandwidthThrottlingError'
                'SuccessWithThrottling'
              ]
            }
          ]
        }
      ]
    }
    autoMitigate: true
    actions: metricActions
  }
  dependsOn: [actionGroup]
}

// ---------------------------------------------------------------------------------------------------------- log alerts

var ofLane = [
  {
    name: 'lane'
    operator: 'Include'
    values: ['*']
  }
]
var ofQueue = [
  {
    name: 'queue'
    operator: 'Include'
    values: ['*']
  }
]

var logAlerts = [
  {
    name: 'oldest-message'
    description: 'A lane\'s oldest message has waited, or been at work, for more than 15 minutes: the lane stands still, or is given more than it can do.'
    severity: 2
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    queryTimeRange: null
    dimensions: ofLane
    query: loadTextContent('../monitoring/alerts/oldest-message.kql')
  }
  {
    name: 'paused-lane'
    description: 'A lane has been paused for longer than Lane__PauseAlertAfter: its messages wait.'
    severity: 3
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    queryTimeRange: null
    dimensions: ofLane
    query: loadTextContent('../monitoring/alerts/paused-lane.kql')
  }
  {
    name: 'review-queue'
    description: 'More signals for a person were raised in an hour than were resolved: 5 failures, or 50 warnings.'
    severity: 3
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    queryTimeRange: null
    dimensions: ofQueue
    query: loadTextContent('../monitoring/alerts/review-queue.kql')
  }
  {
    name: 'failure-rate'
    description: 'A fifth of a lane\'s attempts failed.'
    severity: 2
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    queryTimeRange: null
    dimensions: ofLane
    query: loadTextContent('../monitoring/alerts/failure-rate.kql')
  }
  {
    name: 'api-failures'
    description: 'A twentieth of the API\'s answers were faults of its own.'
    severity: 1
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    queryTimeRange: null
    dimensions: []
    query: loadTextContent('../monitoring/alerts/api-failures.kql')
  }
  {
    name: 'no-sweep'
    description: 'No night\'s sweeps were enqueued in 26 hours, or none of them ended.'
    severity: 2
    evaluationFrequency: 'PT1H'
    windowSize: 'P1D'
    queryTimeRange: 'P2D'
    dimensions: []
    query: loadTextContent('../monitoring/alerts/no-sweep.kql')
  }
  {
    name: 'telemetry-gap'
    description: 'Not every lane was told of in half an hour: the app stands still, its telemetry does not arrive, or a queue does not answer.'
    severity: 1
    evaluationFrequency: 'PT10M'
    windowSize: 'PT30M'
    queryTimeRange: null
    dimensions: []
    query: loadTextContent('../monitoring/alerts/telemetry-gap.kql')
  }
  {
    name: 'stalled-keys'
    description: 'Commands were begun over an hour ago and have not come to an end: their keys are Reserved and nobody is at work on them.'
    severity: 2
    evaluationFrequency: 'PT15M'
    windowSize: 'P1D'
    queryTimeRange: null
    dimensions: ofLane
    query: loadTextContent('../monitoring/alerts/stalled-keys.kql')
  }
]

resource logAlertRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in logAlerts: {
  name: 'alert-${environmentName}-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${rule.name} (${environmentName})'
    description: rule.description
    severity: rule.severity
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: rule.evaluationFrequency
    windowSize: rule.windowSize
    overrideQueryTimeRange: rule.queryTimeRange
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          dimensions: rule.dimensions
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true // a fresh workspace has no tables yet
    actions: {
      actionGroups: actionGroupIds
    }
  }
  dependsOn: [actionGroup]
}]

// -------------------------------------------------------------------------------------------- workbook, saved queries

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'mosaic-runtime-workbook', environmentName)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Mosaic Money runtime (${environmentName})'
    category: 'workbook'
    sourceId: componentId
    serializedData: replace(replace(loadTextContent('../monitoring/workbook.json'), '__WORKSPACE_ID__', workspaceId), '__SERVICE_BUS_ID__', serviceBusNamespaceId)
  }
}

var savedQueries = [
  {
    name: 'prerequisites-lanes'
    displayName: 'Prerequisites: each lane now'
    query: loadTextContent('../monitoring/kql/prerequisites-lanes.kql')
  }
  {
    name: 'retry-1-worker-log'
    displayName: 'Retry and dead letters 1: the worker\'s warnings and errors'
    query: loadTextContent('../monitoring/kql/retry-1-worker-log.kql')
  }
  {
    name: 'retry-1-command-log'
    displayName: 'Retry and dead letters 1: the log of one command'
    query: loadTextContent('../monitoring/kql/retry-1-command-log.kql')
  }
  {
    name: 'retry-2-traces'
    displayName: 'Retry and dead letters 2: the newest deliveries'
    query: loadTextContent('../monitoring/kql/retry-2-traces.kql')
  }
  {
    name: 'retry-2-command-spans'
    displayName: 'Retry and dead letters 2: the spans of one trace'
    query: loadTextContent('../monitoring/kql/retry-2-command-spans.kql')
  }
  {
    name: 'retry-3-failed-closed'
    displayName: 'Retry and dead letters 3: did it fail closed?'
    query: loadTextContent('../monitoring/kql/retry-3-failed-closed.kql')
  }
  {
    name: 'retry-4-dead-letters'
    displayName: 'Retry and dead letters 4: what to capture'
    query: loadTextContent('../monitoring/kql/retry-4-dead-letters.kql')
  }
  {
    name: 'replay-1-after-fix'
    displayName: 'Replay drill 1: failures before and after the fix'
    query: loadTextContent('../monitoring/kql/replay-1-after-fix.kql')
  }
  {
    name: 'replay-3-duplicates'
    displayName: 'Replay drill 3: duplicates'
    query: loadTextContent('../monitoring/kql/replay-3-duplicates.kql')
  }
  {
    name: 'replay-4-progression'
    displayName: 'Replay drill 4: how one run went on'
    query: loadTextContent('../monitoring/kql/replay-4-progression.kql')
  }
  {
    name: 'trace-1-resolve'
    displayName: 'Trace correlation 1 to 3: from any id to all others'
    query: loadTextContent('../monitoring/kql/trace-1-resolve.kql')
  }
  {
    name: 'trace-4-across-services'
    displayName: 'Trace correlation 4: across services'
    query: loadTextContent('../monitoring/kql/trace-4-across-services.kql')
  }
  {
    name: 'failures-by-code'
    displayName: 'Common failure modes: by code'
    query: loadTextContent('../monitoring/kql/failures-by-code.kql')
  }
  {
    name: 'review-open'
    displayName: 'Signals that wait for a person'
    query: loadTextContent('../monitoring/kql/review-open.kql')
  }
  {
    name: 'approvals-waiting'
    displayName: 'Approvals that wait for a person'
    query: loadTextContent('../monitoring/kql/approvals-waiting.kql')
  }
  {
    name: 'sweeps'
    displayName: 'Nightly sweeps'
    query: loadTextContent('../monitoring/kql/sweeps.kql')
  }
  {
    name: 'evidence'
    displayName: 'Evidence for a release gate'
    query: loadTextContent('../monitoring/kql/evidence.kql')
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: split(workspaceId, '/')[8]
}

resource searches 'Microsoft.OperationalInsights/workspaces/savedSearches@2025-07-01' = [for saved in savedQueries: {
  parent: workspace
  name: 'mosaic-${saved.name}'
  properties: {
    category: 'Mosaic Money runtime'
    displayName: saved.displayName
    query: saved.query
  }
}]

@description('The workbook: its resource id.')
output workbookId string = workbook.id
