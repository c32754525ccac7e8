// Deployed after the code, by infra/scripts/postdeploy.py: a subscription is only accepted if the function is there and
// answers. The key of the webhook is looked up in here, so that it never leaves Azure Resource Manager: no command line,
// environment, output or log of ours sees it.
param functionAppName string
param storageName string
param storageTopicName string
param workspaceTopicName string
param workspaceResourceGroup string
param eventsIdentityId string

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: functionAppName
}

resource host 'Microsoft.Web/sites/host@2024-11-01' existing = {
  parent: app
  name: 'default'
}

module uploads 'modules/upload-subscription.bicep' = {
  name: 'upload-subscription'
  params: {
    topicName: storageTopicName
    storageName: storageName
    eventsIdentityId: eventsIdentityId
    hostName: app.properties.defaultHostName
    webhookKey: host.listKeys().systemKeys.blobs_extension
  }
}

module jobs 'modules/job-subscription.bicep' = {
  name: 'job-subscription'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    topicName: workspaceTopicName
    functionId: '${app.id}/functions/job_completed'
    storageId: resourceId('Microsoft.Storage/storageAccounts', storageName)
    eventsIdentityId: eventsIdentityId
  }
}
