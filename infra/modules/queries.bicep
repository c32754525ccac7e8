// Saved queries of Log Analytics, for whoever looks into something. A check holds their names against the code.
param logsName string

var queries = [
  {
    name: 'timeline'
    title: 'A tuning, line by line (put its id in)'
    query: 'AppTraces | extend tuning = tostring(Properties["droptune.tuning.id"]) | where tuning == "PUT-THE-ID-HERE" | project TimeGenerated, OperationName, SeverityLevel, Message | order by TimeGenerated asc'
  }
  {
    name: 'states'
    title: 'Tunings by state'
    query: 'AppMetrics | where Name == "droptune.tunings" | extend state = tostring(Properties["droptune.tuning.state"]) | summarize tunings = max(Max) by state, bin(TimeGenerated, 15m) | render timechart'
  }
  {
    name: 'stages'
    title: 'How long each stage takes'
    query: 'AppMetrics | where Name == "droptune.stage.duration" | extend state = tostring(Properties["droptune.tuning.state"]) | summarize minutes = sum(Sum) / sum(ItemCount) / 60, slowest = max(Max) / 60 by state'
  }
  {
    name: 'idle'
    title: 'Endpoints: idle hours and what they cost an hour'
    query: 'AppMetrics | where Name in ("droptune.endpoint.idle", "droptune.endpoint.cost") | extend endpoint = tostring(Properties["droptune.endpoint"]) | summarize arg_max(TimeGenerated, Max) by endpoint, Name | extend value = iff(Name == "droptune.endpoint.idle", Max / 3600, Max) | project endpoint, Name, value'
  }
  {
    name: 'refused'
    title: 'Warnings and errors'
    query: 'AppTraces | where SeverityLevel >= 2 | extend tuning = tostring(Properties["droptune.tuning.id"]) | project TimeGenerated, OperationName, tuning, Message | order by TimeGenerated desc'
  }
]

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: logsName
}

resource saved 'Microsoft.OperationalInsights/workspaces/savedSearches@2023-09-01' = [for item in queries: {
  parent: logs
  name: 'droptune-${item.name}'
  properties: {
    category: 'droptune'
    displayName: item.title
    query: item.query
    version: 2
  }
}]
