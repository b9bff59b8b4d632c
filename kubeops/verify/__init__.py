"""The suite behind `verify`: what an installed cluster's hosts must look like, as testinfra tests.

It is a second pair of eyes. Nothing here uses what kubeops observes with (`kubeops.facts`), decides
by (`kubeops.plan`) or acts with (`kubeops.handlers`): a mistake made there is to be seen here.

* `run.py` runs the suite in this process, with pytest, and returns a report.
* `test_*.py` are the properties: one test for each, run for every host it applies to.
* `conftest.py` gives them their fixtures; `expect.py` words what they expect and what they found.
* `questions.py` and `backend.py` are testinfra's way to the hosts: over kubeops' own transport, so
  that host keys, jump hosts and sudo are those of every other verb.

Every command only reads. Private keys never leave a host: only public parts of files are asked for.
"""
