"""Rich's console, as every verb uses it."""

from rich.console import Console

from kubeops.render.screen import silence


class PatientConsole(Console):
    """A console that falls silent, rather than ending the run, when its reader goes away."""

    def on_broken_pipe(self) -> None:
        """Go on without a reader."""
        self.quiet = True
        silence(self.file)
