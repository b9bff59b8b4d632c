"""Decides, purely: (desired, facts) -> plan. No module here touches a machine or a clock."""
