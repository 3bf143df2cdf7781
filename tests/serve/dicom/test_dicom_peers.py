"""What --peer and --ae-title may say."""

import pytest

from plainfilm.errors import UsageError
from plainfilm.serve.dicom.peers import Peer, checked_title, known


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("PACS=10.0.0.5:104", Peer("PACS", host="10.0.0.5", port=104)),
        ("PACS=pacs.example.org:11112", Peer("PACS", host="pacs.example.org", port=11112)),
        ("PACS=[::1]:104", Peer("PACS", host="::1", port=104)),
        ("PACS=http://127.0.0.1:8042/dicom-web/", Peer("PACS", url="http://127.0.0.1:8042/dicom-web")),
        ("MY PACS=https://user:word@pacs/dicom-web", Peer("MY PACS", url="https://user:word@pacs/dicom-web")),
    ],
)
def test_a_peer_has_a_dicom_address_or_a_dicomweb_address(text, peer):
    assert Peer.parse(text) == peer


@pytest.mark.parametrize(
    "text",
    [
        "PACS",
        "PACS=",
        "PACS=host",
        "PACS=host:0",
        "PACS=host:65536",
        "PACS=host:1:2",
        "PACS=tls://host",
        "PACS=tls://tls://host:104",
        "PACS=http://",
        "PACS=http:///x",
        "PACS=http://host/a b",
        "PACS=ftp://host",
        "PACS=http://host?x=1",
        "PACS=http://[bad",
    ],
)
def test_another_text_is_refused_with_what_was_expected(text):
    with pytest.raises(UsageError, match="Expected --peer NAME=HOST:PORT, NAME=tls://HOST:PORT or NAME=URL; received"):
        Peer.parse(text)


@pytest.mark.parametrize("title", ["", " X", "X ", "A" * 17, "A\\B", "É", "A\nB"])
def test_an_ae_title_that_the_standard_does_not_allow_is_refused(title):
    with pytest.raises(UsageError, match="Expected --ae-title of 1 to 16"):
        checked_title(title, what="--ae-title")
    with pytest.raises(UsageError):
        Peer.parse(f"{title}=host:104")


@pytest.mark.parametrize("title", ["A", "PLAIN FILM", "A" * 16, "~!@[]"])
def test_an_ae_title_of_the_standard_is_taken(title):
    assert checked_title(title, what="--ae-title") == title


def test_names_are_known_once_and_there_is_at_least_one():
    assert list(known(["A=h:1", "B=h:2"])) == ["A", "B"]
    with pytest.raises(UsageError, match="A twice"):
        known(["A=h:1", "A=h:2"])
    with pytest.raises(UsageError, match="nowhere to go"):
        known([])
