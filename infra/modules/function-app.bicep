// The function app on Flex Consumption, with nothing always ready, and all of its settings.
param name string
param planName string
param location string
param tags object
param identityId string
param clientId string
param storageName string
param packageContainer string
param insightsName string
param lifecycleTopicName string
param workspaceName string
param workspaceResourceGroup string
param workspaceLocation string
param subnetId string

@description('Overrides of the defaults below.')
param settings object

// The defaults of the settings class, written by `python -m infra.checks --write`.
var defaults = loadJsonContent('../app-settings.json')
var places = {
  AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
  AZURE_RESOURCE_GROUP: workspaceResourceGroup
  AZUREML_WORKSPACE: workspaceName
  AZURE_LOCATION: workspaceLocation
  AZURE_CLIENT_ID: clientId
  STORAGE__blobServiceUri: account.properties.primaryEndpoints.blob
  STORAGE__queueServiceUri: account.properties.primaryEndpoints.queue
  STORAGE__tableServiceUri: account.properties.primaryEndpoints.table
  LIFECYCLE_TOPIC_ENDPOINT: lifecycleTopic.properties.endpoint
  TELEMETRY: 'azuremonitor'
  // Where to send, not a secret: without a token of the identity it opens nothing. The host reads it too.
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
}
var host = {
  PYTHON_ENABLE_INIT_INDEXING: '1' // HTTP streams, on Python up to 3.12
  STORAGE__credential: 'managedidentity'
  STORAGE__clientId: clientId
  AzureWebJobsStorage__blobServiceUri: account.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: account.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: account.properties.primaryEndpoints.table
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId
  PYTHON_ENABLE_INIT_INDEXING: '1' // Without it the worker's own HTTP server, which streams, is not started on 3.11.
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
}

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource lifecycleTopic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: lifecycleTopicName
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
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
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, {
    'azd-service-name': 'app'
  })
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
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.11'
      }
      scaleAndConcurrency: {
        alwaysReady: []
        instanceMemoryMB: 2048
        maximumInstanceCount: 40
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: union(defaults, places, settings, host)
}

// Deployment goes by Entra ID only.
resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

output name string = app.name
output hostName string = app.properties.defaultHostName
