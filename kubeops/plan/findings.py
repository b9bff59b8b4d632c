"""Findings by what they mean for the run; see `Severity`."""

from kubeops.plan.model import Finding, Severity


def blocking(check: str, text: str, cure: str, *, host: str = "") -> Finding:
    """Return a finding that stops the run until it is cured."""
    return Finding(check=check, severity=Severity.BLOCKING, text=text, cure=cure, host=host)


def acceptable(check: str, text: str, cure: str, *, host: str = "") -> Finding:
    """Return a finding that stops the run unless `--accept` names its check."""
    return Finding(check=check, severity=Severity.ACCEPTABLE, text=text, cure=cure, host=host)


def warning(check: str, text: str, cure: str, *, host: str = "") -> Finding:
    """Return a finding that is shown and stops nothing."""
    return Finding(check=check, severity=Severity.WARNING, text=text, cure=cure, host=host)
