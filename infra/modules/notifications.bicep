// Optional: what happens to tunings, told in a Teams or Slack channel. Event Grid writes to a queue with its identity, a
// Logic App reads it with its own and posts to the channel's incoming webhook: neither knows a key of the other.
param location string
param tags object
param token string
param lifecycleTopicName string
param storageName string
param eventsIdentityId string
param eventsPrincipalId string

@description('Takes {"text": …} by POST, as incoming webhooks of Slack and Teams do.')
@secure()
param webhook string

@description('The states that the channel hears of.')
param eventTypes array = [
  'droptune.tuning.live'
  'droptune.tuning.rejected'
  'droptune.tuning.failed'
  'droptune.tuning.rolled_back'
  'droptune.tuning.retired'
]

var roles = loadJsonContent('../roles.json')

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' existing = {
  parent: account
  name: 'default'
}

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: lifecycleTopicName
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' = {
  parent: queueService
  name: 'notifications'
}

resource eventsWrite 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(queue.id, eventsPrincipalId, roles.storageQueueDataContributor)
  scope: queue
  properties: {
    description: 'Needed by Event Grid, which delivers to the queue'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageQueueDataContributor)
    principalId: eventsPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource flowReads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(queue.id, flow.id, roles.storageQueueDataContributor)
  scope: queue
  properties: {
    description: 'Needed by the Logic App, which reads the queue'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageQueueDataContributor)
    principalId: flow.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

resource channel 'Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'notifications'
  properties: {
    deliveryWithResourceIdentity: {
      identity: {
        type: 'UserAssigned'
        userAssignedIdentity: eventsIdentityId
      }
      destination: {
        endpointType: 'StorageQueue'
        properties: {
          resourceId: account.id
          queueName: queue.name
          queueMessageTimeToLiveInSeconds: 86400
        }
      }
    }
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: eventTypes
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
  }
  dependsOn: [
    eventsWrite
  ]
}

resource connection 'Microsoft.Web/connections@2016-06-01' = {
  name: 'queue-${token}'
  location: location
  tags: tags
  properties: {
    displayName: 'droptune notifications'
    api: {
      id: subscriptionResourceId('Microsoft.Web/locations/managedApis', location, 'azurequeues')
    }
    parameterValueSet: {
      name: 'managedIdentityAuth'
      values: {}
    }
  }
}

resource flow 'Microsoft.Logic/workflows@2019-05-01' = {
  name: 'logic-notifications-${token}'
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('notifications-flow.json')
    parameters: {
      account: {
        value: storageName
      }
      webhook: {
        value: webhook
      }
      '$connections': {
        value: {
          azurequeues: {
            connectionId: connection.id
            connectionName: connection.name
            id: subscriptionResourceId('Microsoft.Web/locations/managedApis', location, 'azurequeues')
            connectionProperties: {
              authentication: {
                type: 'ManagedServiceIdentity'
              }
            }
          }
        }
      }
    }
  }
}
