// The topics of the app's resource group. Their subscriptions come after the code: infra/subscriptions.bicep.
param storageName string
param storageTopicName string
param lifecycleTopicName string
param location string
param tags object
param appPrincipalId string
param eventsIdentityId string

var roles = loadJsonContent('../roles.json')

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource storageTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: storageTopicName
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${eventsIdentityId}': {}
    }
  }
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource lifecycleTopic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: lifecycleTopicName
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${eventsIdentityId}': {}
    }
  }
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

resource sender 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(lifecycleTopic.id, appPrincipalId, roles.eventGridDataSender)
  scope: lifecycleTopic
  properties: {
    description: 'Needed by shared/lifecycle/topic.py:Topic.send'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventGridDataSender)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output storageTopicName string = storageTopic.name
output storageTopicId string = storageTopic.id
output lifecycleTopicName string = lifecycleTopic.name
