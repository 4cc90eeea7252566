"""The gateway of Glasshouse: keys, engines, relay, metrics. `gateway.app.create_app` is the way in."""
