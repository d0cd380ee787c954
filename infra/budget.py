"""The monthly budget of the stack, and the warnings when it is exceeded."""

from aws_cdk import Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import allow_publishing_by

TAG = "stack"  # a tag of all resources, by which costs are separated once it is activated (docs/operations.md)

_ACTUAL_PERCENT = 80
_FORECAST_PERCENT = 100


class Budget(Construct):
    """The budget, named after the stack. It warns when most of it is spent, or more than all of it is forecast."""

    def __init__(self, scope: Construct, *, dollars: int, topic: sns.Topic) -> None:
        super().__init__(scope, "Budget")
        name = Stack.of(self).stack_name
        allow_publishing_by(topic, "budgets.amazonaws.com")
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
                    subscribers=[
                        budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=topic.topic_arn)
                    ],
                )
                for kind, percent in (("ACTUAL", _ACTUAL_PERCENT), ("FORECASTED", _FORECAST_PERCENT))
            ],
        )
