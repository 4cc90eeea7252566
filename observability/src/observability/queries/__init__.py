"""The questions in PromQL, apart from how a panel draws them or an alert words them; one module a source."""
