// A new Azure ML workspace with its own storage and key vault; its registry of containers it makes itself when it needs one.
param name string
param token string
param location string
param tags object
param insightsName string
param datasetsStorageId string
param isolated bool
param appPrincipalId string

var roles = loadJsonContent('../roles.json')

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: 'stml${token}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: 'kv-${token}'
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
  }
}

// The stable version of that day knows no systemDatastoresAuthMode, without which the account would need its keys.
resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01-preview' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    friendlyName: name
    storageAccount: account.id
    keyVault: vault.id
    applicationInsights: insights.id
    publicNetworkAccess: 'Enabled'
    systemDatastoresAuthMode: 'identity'
    managedNetwork: {
      isolationMode: isolated ? 'AllowInternetOutbound' : 'Disabled'
      outboundRules: isolated ? {
        datasets: {
          type: 'PrivateEndpoint'
          category: 'UserDefined'
          destination: {
            serviceResourceId: datasetsStorageId
            subresourceTarget: 'blob'
          }
        }
      } : {}
    }
  }
}

resource jobOutputs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, roles.storageBlobDataContributor)
  scope: account
  properties: {
    description: 'Needed by shared/azureml/sdk.py:SdkClient.submit_job: a job writes its model with the identity of who submitted it'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output name string = workspace.name
