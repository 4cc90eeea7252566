"""What clients speak: one package a dialect, and what they share. They know no engine."""
