// The plan, the app and its settings. The app's roles have to be there before it: it fetches its own package.

@description('Name of the app.')
@minLength(2)
@maxLength(60)
param name string

@description('Name of the plan.')
@minLength(1)
@maxLength(60)
param planName string

@description('Azure region.')
param location string

@description('Tags of plan and app.')
param tags object

@description('Resource id of the app\'s identity.')
param identityId string

@description('Client id of the app\'s identity.')
param identityClientId string

@description('Memory of one instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int

@description('Most instances that the app may scale out to.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int

@description('Instances that are kept running: objects with name and instanceCount.')
param alwaysReady array

@description('HTTP requests that one instance serves at once before another is added.')
@minValue(1)
@maxValue(1000)
param httpPerInstanceConcurrency int

@description('Origins whose web pages may ask the API. Empty: none.')
param corsOrigins array

@description('Whether those pages may send cookies.')
param corsCredentials bool

@description('Whether the plan spreads its instances over zones.')
param zoneRedundant bool

@description('Whether the app is reached through its private endpoint alone.')
param privateNetworking bool

@description('Resource id of the subnet that the app\'s calls leave by. Empty: none.')
param appSubnetId string

@description('Blob endpoint of the storage account, with its slash at the end.')
param blobEndpoint string

@description('Queue endpoint of the storage account, with its slash at the end.')
param queueEndpoint string

@description('Table endpoint of the storage account, with its slash at the end.')
param tableEndpoint string

@description('Name of the container that the deployed package lies in.')
param deploymentContainerName string

@description('Host name of the Service Bus namespace.')
param serviceBusHost string

@description('Name of the ingestion lane\'s queue.')
param ingestionQueueName string

@description('Name of the conversation lane\'s queue.')
param conversationQueueName string

@description('Name of the sweep lane\'s queue.')
param sweepQueueName string

@description('Host name of the Event Hubs namespace.')
param eventHubsHost string

@description('Name of the telemetry hub.')
param hubName string

@description('Name of the Application Insights component.')
param componentName string

@description('Resource id of the workspace that takes the logs.')
param workspaceId string

@description('Issuer that callers\' tokens have to name.')
param authIssuer string

@description('Audience that callers\' tokens have to name.')
param authAudience string

@description('Where the issuer publishes its signing keys.')
param authJwksUri string

@description('Further app settings, as a map of strings.')
param extraAppSettings object

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  // checkov:skip=CKV_AZURE_225:A parameter: zones cost two instances a function group, and not every region has them
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  // checkov:skip=CKV_AZURE_78:Flex Consumption has no FTP and refuses the setting; its credentials are off below
  // checkov:skip=CKV_AZURE_212:Flex Consumption has no such figure and refuses it; instances kept ready are a parameter
  // checkov:skip=CKV_AZURE_213:Flex Consumption does not ask a health check path; alerts and the smoke test ask the route
  // checkov:skip=CKV_AZURE_17:Callers are identified by tokens, which the app checks itself
  // checkov:skip=CKV_AZURE_222:A parameter: closed with private networking
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(appSubnetId) ? null : appSubnetId
    siteConfig: {
      minTlsVersion: '1.2'
      http20Enabled: true
      cors: {
        allowedOrigins: corsOrigins
        supportCredentials: corsCredentials
      }
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}${deploymentContainerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
        triggers: {
          http: {
            perInstanceConcurrency: httpPerInstanceConcurrency
          }
        }
      }
    }
  }
}

resource ftpCredentials 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scmCredentials 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

var ownSettings = {
  AZURE_CLIENT_ID: identityClientId
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  ServiceBusConnection__fullyQualifiedNamespace: serviceBusHost
  ServiceBusConnection__credential: 'managedidentity'
  ServiceBusConnection__clientId: identityClientId
  EventHubsConnection__fullyQualifiedNamespace: eventHubsHost
  EventHubsConnection__credential: 'managedidentity'
  EventHubsConnection__clientId: identityClientId
  TablesConnection__endpoint: tableEndpoint
  TablesConnection__credential: 'managedidentity'
  TablesConnection__clientId: identityClientId
  BlobsConnection__endpoint: blobEndpoint
  BlobsConnection__credential: 'managedidentity'
  BlobsConnection__clientId: identityClientId
  IngestionQueue: ingestionQueueName
  ConversationQueue: conversationQueueName
  SweepQueue: sweepQueueName
  TelemetryHub: hubName
  Auth__Issuer: authIssuer
  Auth__Audience: authAudience
  Auth__JwksUri: authJwksUri
  Stores__CreateTables: 'false'
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '22020096'
  APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
  // No semicolon at the end: the Python exporter raises on it.
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
  PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME: 'mosaic_core'
  OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: 'azure_sdk,django,fastapi,flask,psycopg2'
}

resource settings 'Microsoft.Web/sites/config@2024-11-01' = {
  // These are app settings, which the scanner takes for the site's own configuration.
  // checkov:skip=CKV_AZURE_13:Not where authentication is configured; the app checks tokens itself
  // checkov:skip=CKV_AZURE_63:Not where HTTP logging is configured; requests are in Application Insights
  // checkov:skip=CKV_AZURE_65:Not where error pages are configured
  // checkov:skip=CKV_AZURE_66:Not where request tracing is configured
  // checkov:skip=CKV_AZURE_80:No .NET in this app
  // checkov:skip=CKV_AZURE_88:The app mounts no files; Flex Consumption keeps its package in a blob container
  // checkov:skip=CKV_AZURE_222:Not where the network is configured; the site itself is closed by parameter
  parent: app
  name: 'appsettings'
  properties: union(extraAppSettings, ownSettings)
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FunctionAppLogs'
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

output id string = app.id
output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
