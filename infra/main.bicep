targetScope = 'subscription'

@description('Name of this deployment; every resource gets a name of its own from it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of everything. An Azure ML workspace that exists already may be in another one.')
@minLength(1)
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Azure ML workspace to use; empty: a new one is made.')
param workspaceName string = ''

@description('Resource group of that workspace.')
param workspaceResourceGroup string = ''

@description('App settings that differ from infra/app-settings.json, for example {"IDLE_DRY_RUN": "false"}.')
param settings object = {}

@description('Who may upload datasets: object ids of users, groups or service principals.')
param uploaders array = []

@description('Object ids of the identities of training clusters, where COMPUTE names one; serverless jobs need none.')
param trainers array = []

@description('Object id of who deploys; may upload datasets too. azd knows it.')
param principalId string = ''

@description('Who is mailed when something is wrong, and about the budget; empty: nobody, the alerts only show.')
param alertEmail string = ''

@description('Warn at this much a month in the resource group of the workspace, in the currency of the bill; 0: no budget. A text, because azd fills in texts.')
param monthlyBudget string = '0'

@description('Storage is reached through private endpoints only.')
param vnetEnabled bool = false

@description('Copies of the data; some regions have no ZRS.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
])
param storageSku string = 'Standard_ZRS'

@description('Incoming webhook of a Teams or Slack channel that is told about tunings; empty: none.')
@secure()
param notificationsWebhook string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var roles = loadJsonContent('roles.json')
var isNewWorkspace = empty(workspaceName)
var workspaceGroup = isNewWorkspace ? group.name : workspaceResourceGroup
var workspace = isNewWorkspace ? 'mlw-${token}' : workspaceName

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module appIdentity 'modules/identity.bicep' = {
  name: 'app-identity'
  scope: group
  params: {
    name: 'id-app-${token}'
    location: location
    tags: tags
  }
}

module eventsIdentity 'modules/identity.bicep' = {
  name: 'events-identity'
  scope: group
  params: {
    name: 'id-events-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    logsName: 'log-${token}'
    insightsName: 'appi-${token}'
    location: location
    tags: tags
    appPrincipalId: appIdentity.outputs.principalId
  }
}

module queries 'modules/queries.bicep' = {
  name: 'queries'
  scope: group
  params: {
    logsName: monitoring.outputs.logsName
  }
}

module network 'modules/network.bicep' = if (vnetEnabled) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    publicAccess: !vnetEnabled
    sku: storageSku
  }
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (vnetEnabled) {
  name: 'private-endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    storageName: storage.outputs.name
    subnetId: vnetEnabled ? network.outputs.endpointsSubnetId : ''
    networkId: vnetEnabled ? network.outputs.id : ''
  }
}

module newWorkspace 'modules/workspace.bicep' = if (isNewWorkspace) {
  name: 'workspace'
  scope: group
  params: {
    name: workspace
    token: token
    location: location
    tags: tags
    insightsName: monitoring.outputs.insightsName
    datasetsStorageId: storage.outputs.id
    isolated: vnetEnabled
    appPrincipalId: appIdentity.outputs.principalId
  }
}

module workspaceFacts 'modules/workspace-facts.bicep' = {
  name: 'workspace-facts-${token}'
  scope: resourceGroup(workspaceGroup)
  params: {
    name: isNewWorkspace ? newWorkspace.outputs.name : workspace
  }
}

module workspaceAccess 'modules/workspace-access.bicep' = {
  name: 'workspace-access-${token}'
  scope: resourceGroup(workspaceGroup)
  params: {
    name: workspace
    location: workspaceFacts.outputs.location
    topicName: 'evgt-workspace-${token}'
    tags: tags
    appPrincipalId: appIdentity.outputs.principalId
    eventsIdentityId: eventsIdentity.outputs.id
  }
}

module storageAccess 'modules/storage-access.bicep' = {
  name: 'storage-access'
  scope: group
  params: {
    storageName: storage.outputs.name
    appPrincipalId: appIdentity.outputs.principalId
    eventsPrincipalId: eventsIdentity.outputs.principalId
    workspacePrincipalId: workspaceFacts.outputs.principalId
    trainers: trainers
    uploaders: empty(principalId) ? uploaders : union(uploaders, [principalId])
  }
}

module events 'modules/events.bicep' = {
  name: 'events'
  scope: group
  params: {
    storageName: storage.outputs.name
    storageTopicName: 'evgt-storage-${token}'
    lifecycleTopicName: 'evgt-lifecycle-${token}'
    location: location
    tags: tags
    appPrincipalId: appIdentity.outputs.principalId
    eventsIdentityId: eventsIdentity.outputs.id
  }
}

module app 'modules/function-app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: appIdentity.outputs.id
    clientId: appIdentity.outputs.clientId
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    insightsName: monitoring.outputs.insightsName
    lifecycleTopicName: events.outputs.lifecycleTopicName
    workspaceName: workspace
    workspaceResourceGroup: workspaceGroup
    workspaceLocation: workspaceFacts.outputs.location
    subnetId: vnetEnabled ? network.outputs.appSubnetId : ''
    settings: settings
  }
  dependsOn: [
    storageAccess
  ]
}

// The batch query of metrics is authorised on the subscription, not on the endpoints that it asks for.
resource metricsReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, token, roles.monitoringReader)
  properties: {
    description: 'Needed by shared/idle/metrics.py:RequestMetrics, whether anybody calls an endpoint'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.monitoringReader)
    principalId: appIdentity.outputs.principalId
    principalType: 'ServicePrincipal'
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    topicIds: [
      events.outputs.storageTopicId
      workspaceAccess.outputs.topicId
    ]
    email: alertEmail
  }
}

module budget 'modules/budget.bicep' = if (int(monthlyBudget) > 0 && !empty(alertEmail)) {
  name: 'budget-${token}'
  scope: resourceGroup(workspaceGroup)
  params: {
    name: 'droptune-${environmentName}'
    amount: int(monthlyBudget)
    email: alertEmail
  }
  dependsOn: [
    group
  ]
}

module notifications 'modules/notifications.bicep' = if (!empty(notificationsWebhook)) {
  name: 'notifications'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    lifecycleTopicName: events.outputs.lifecycleTopicName
    storageName: storage.outputs.name
    eventsIdentityId: eventsIdentity.outputs.id
    eventsPrincipalId: eventsIdentity.outputs.principalId
    webhook: notificationsWebhook
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = app.outputs.name
output AZURE_STORAGE_ACCOUNT string = storage.outputs.name
output AZUREML_WORKSPACE string = workspace
output DROPTUNE_WORKSPACE_RESOURCE_GROUP string = workspaceGroup
output DROPTUNE_EVENTS_IDENTITY_ID string = eventsIdentity.outputs.id
output DROPTUNE_STORAGE_TOPIC string = events.outputs.storageTopicName
output DROPTUNE_WORKSPACE_TOPIC string = workspaceAccess.outputs.topicName
output DROPTUNE_API string = 'https://${app.outputs.hostName}/api'
