"""`glasshouse drill`: puts faults into the running stack, one after the other, and reports which alerts they fired."""
