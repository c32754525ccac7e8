// Where the workspace is and who it is, new or not. Apart from workspace-access.bicep, because a resource's region must be
// known when its deployment begins.
param name string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = {
  name: name
}

output location string = workspace.location
output principalId string = contains(workspace.identity, 'principalId') ? workspace.identity.principalId : ''
