"""AWS Lambda: functions, their versions, who may call them, and what feeds them."""
