"""What the stack may cost in a month, and who is told when it costs more."""

from aws_cdk import Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import let_publish

TAG = "stack"  # a tag of all resources; it tells costs apart once it is activated (docs/operations.md)

_ACTUAL_PERCENT = 80
_FORECAST_PERCENT = 100


class Budget(Construct):
    """The budget, named after the stack: it tells when most of it is spent, and when more than all of it will be."""

    def __init__(self, scope: Construct, *, dollars: int, told: sns.Topic) -> None:
        super().__init__(scope, "Budget")
        name = Stack.of(self).stack_name
        let_publish(told, "budgets.amazonaws.com")
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=name,
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=dollars, unit="USD"),
                cost_filters={"TagKeyValue": [f"user:{TAG}${name}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type=kind, comparison_operator="GREATER_THAN", threshold=percent
                    ),
                    subscribers=[budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=told.topic_arn)],
                )
                for kind, percent in (("ACTUAL", _ACTUAL_PERCENT), ("FORECASTED", _FORECAST_PERCENT))
            ],
        )
