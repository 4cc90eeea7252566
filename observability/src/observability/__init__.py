"""What Glasshouse watches and how it shows it: the one source of everything in grafana/ and prometheus/."""
