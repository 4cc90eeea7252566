"""All settings in one table, from which .env.example, docs/settings.md and Compose's lists are written."""
