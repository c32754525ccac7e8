// What the app needs in the workspace, new or not; deployed to the workspace's own resource group.
param name string
param location string
param topicName string
param tags object
param appPrincipalId string
param eventsIdentityId string

var roles = loadJsonContent('../roles.json')

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = {
  name: name
}

resource dataScientist 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, appPrincipalId, roles.azureMlDataScientist)
  scope: workspace
  properties: {
    description: 'Needed by shared/azureml/sdk.py:SdkClient.submit_job and shared/azureml/arm.py:ArmClient.create_deployment'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.azureMlDataScientist)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// A workspace has at most one system topic; it lives in the region of its source.
resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: topicName
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${eventsIdentityId}': {}
    }
  }
  properties: {
    source: workspace.id
    topicType: 'Microsoft.MachineLearningServices.Workspaces'
  }
}

output topicName string = topic.name
output topicId string = topic.id
