// Who may do what in the storage account.
param storageName string
param appPrincipalId string
param eventsPrincipalId string

@description('The identity of the workspace; empty if it only has identities of users.')
param workspacePrincipalId string

@description('Identities of clusters that train.')
param trainers array
param uploaders array

var roles = loadJsonContent('../roles.json')
var readers = empty(workspacePrincipalId) ? trainers : union(trainers, [workspacePrincipalId])

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' existing = {
  parent: account
  name: 'default'
}

resource datasets 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  parent: blobs
  name: 'datasets'
}

resource tunings 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  parent: blobs
  name: 'tunings'
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  parent: blobs
  name: 'deadletter'
}

resource appBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, roles.storageBlobDataOwner)
  scope: account
  properties: {
    description: 'Needed by the Functions host (locks, keys, timers, the package) and shared/blobs.py:Blobs.begin_copy'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataOwner)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource appQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, roles.storageQueueDataContributor)
  scope: account
  properties: {
    description: 'Needed by the Functions host (triggers, poison queues) and shared/lifecycle/queues.py:WakeUps'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageQueueDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource appTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, roles.storageTableDataContributor)
  scope: account
  properties: {
    description: 'Needed by shared/lifecycle/ledger.py:Ledger'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageTableDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource trainingFiles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for reader in readers: {
  name: guid(tunings.id, reader, roles.storageBlobDataReader)
  scope: tunings
  properties: {
    description: 'Needed by the jobs of Azure Machine Learning: they read the files of shared/blobs.py:Blobs.snapshot_url'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataReader)
    principalId: reader
    principalType: 'ServicePrincipal'
  }
}]

resource eventDeadLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(deadLetters.id, eventsPrincipalId, roles.storageBlobDataContributor)
  scope: deadLetters
  properties: {
    description: 'Needed by Event Grid, which writes what it could not deliver'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataContributor)
    principalId: eventsPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource uploads 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for uploader in uploaders: {
  name: guid(datasets.id, uploader, roles.storageBlobDataContributor)
  scope: datasets
  properties: {
    description: 'Needed by people who upload: cli/upload.py:upload'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataContributor)
    principalId: uploader
  }
}]
