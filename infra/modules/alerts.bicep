// What an operator is called for. The queries look for the words that the code logs; a check holds them together.
param location string
param tags object

@description('The Log Analytics workspace that the app logs to.')
param logsId string

@description('Topics whose dead letters count.')
param topicIds array

@description('Empty: the alerts show in the portal only.')
param email string

var receivers = empty(email) ? [] : [
  people.id
]
var rules = [
  {
    name: 'poison-messages'
    title: 'droptune: the host gave up a message'
    severity: 2
    frequency: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
    query: 'AppRequests | where Name endswith "_poison"'
  }
  {
    name: 'stuck-tunings'
    title: 'droptune: a tuning was overdue at three looks of reconcile within the hour'
    severity: 2
    frequency: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 0
    query: 'AppTraces | where Message startswith "tuning " and Message has "and overdue since" | extend tuning = extract("^tuning ([^ ]+)", 1, Message) | summarize looks = count() by tuning | where looks >= 3'
  }
  {
    name: 'failed-sweeps'
    title: 'droptune: a timer failed (idle_cleanup or reconcile)'
    severity: 2
    frequency: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 1
    query: 'AppRequests | where Name in ("idle_cleanup", "reconcile") and Success == false'
  }
  {
    name: 'no-sweeps'
    title: 'droptune: no timer ran; endpoints that nobody calls are not deleted'
    severity: 1
    frequency: 'PT1H'
    window: 'PT2H'
    operator: 'LessThan'
    threshold: 1
    query: 'AppRequests | where Name in ("idle_cleanup", "reconcile") and Success == true'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-droptune'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'droptune'
    enabled: true
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource logAlert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: rule.name
  location: location
  tags: tags
  properties: {
    displayName: rule.title
    severity: rule.severity
    enabled: true
    scopes: [
      logsId
    ]
    evaluationFrequency: rule.frequency
    windowSize: rule.window
    // The tables appear with the app's first line of log.
    skipQueryValidation: true
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: rule.operator
          threshold: rule.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: receivers
    }
  }
}]

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (topic, i) in topicIds: {
  name: 'dead-letters-${i}'
  location: 'global'
  tags: tags
  properties: {
    description: 'droptune: Event Grid could not deliver events; they lie in the container deadletter'
    severity: 2
    enabled: true
    scopes: [
      topic
    ]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead-letters'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'DeadLetteredCount'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: [for receiver in receivers: {
      actionGroupId: receiver
    }]
  }
}]
