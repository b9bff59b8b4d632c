"""No certificate ends soon. Only public parts are read."""

import base64
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509
from testinfra.host import Host as Remote

from kubeops.model.desired import Host
from kubeops.verify.expect import expect_none, expect_that
from kubeops.verify.suite import Suite, says

DAYS = 30
SCRIPT = r"""
for file in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt \
    /var/lib/kubelet/pki/kubelet-client-current.pem; do
    [ ! -e "$file" ] || { echo "# $file"; sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$file"; }
done
grep -H client-certificate-data: /etc/kubernetes/*.conf || true
"""
_FILE = re.compile(r"^# (.+)\n((?:(?!# |/\S+: ).*\n)*)", re.MULTILINE)
_EMBEDDED = re.compile(r"^(/\S+?):\s*client-certificate-data: *(\S+)", re.MULTILINE)


def ends(text: str) -> Iterator[tuple[str, datetime]]:
    """When each certificate of the script's output ends, by file."""
    for path, pem in _FILE.findall(f"{text}\n"):  # testinfra cuts the last newline off
        for certificate in x509.load_pem_x509_certificates(pem.encode()):
            yield path, certificate.not_valid_after_utc
    for path, encoded in _EMBEDDED.findall(text):
        for certificate in x509.load_pem_x509_certificates(base64.b64decode(encoded)):
            yield path, certificate.not_valid_after_utc


@says(f"every certificate is good for {DAYS} more days")
def test_certificates(host: Remote, wanted: Host, suite: Suite) -> None:
    found = list(ends(host.check_output(SCRIPT)))
    expect_that(found, expected="certificates", found="none", cure="if it has not joined: install")
    limit = suite.questions.ask(wanted.name, SCRIPT).at + timedelta(days=DAYS)
    expect_none(
        (f"{path} ends {end:%Y-%m-%d}" for path, end in found if end < limit),
        expected=f"valid beyond {limit:%Y-%m-%d}",
        cure="kubeadm certs renew all, on a control plane; a kubelet renews its own",
    )
