import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from test_bundle import members, packed, write

from plainfilm.errors import BundleError, MissingExtraError, UsageError
from plainfilm.model import bundle, signing

PLAIN = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def keys(folder, name, key=None):
    key = key or ed25519.Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(*PLAIN))
    public.write_bytes(key.public_key().public_bytes(*PUBLIC))
    return private, public


@pytest.fixture
def ours(tmp_path):
    return keys(tmp_path, "ours")


@pytest.fixture
def signed(tmp_path, ours):
    write(tmp_path / "signed.plainfilm", sign=ours[0])
    return tmp_path / "signed.plainfilm"


def test_a_signed_bundle_opens_for_its_key_and_without_one(signed, ours):
    assert bundle.load(signed, require_signature=ours[1]).is_signed
    assert bundle.load(signed).is_signed
    assert len(members(signed)["signature.ed25519"]) == signing.BYTES


def test_a_bundle_signed_by_another_or_not_at_all_is_refused_where_one_is_asked_for(signed, ours, tmp_path):
    write(tmp_path / "plain")
    assert not bundle.load(tmp_path / "plain").is_signed
    with pytest.raises(BundleError, match="which is not signed"):
        bundle.load(tmp_path / "plain", require_signature=ours[1])
    with pytest.raises(BundleError, match="signature is another's"):
        bundle.load(signed, require_signature=keys(tmp_path, "theirs")[1])


def test_whoever_alters_a_signed_bundle_and_makes_the_hashes_right_is_found(signed, ours, tmp_path):
    contents = {**members(signed), "card.md": b"# Safe for patients"}
    signature = contents.pop("signature.ed25519")
    altered = packed(tmp_path / "altered", contents)
    contents = {**members(altered), "signature.ed25519": signature}
    packed(tmp_path / "again", contents, seal=False)
    assert bundle.load(tmp_path / "again").card == "# Safe for patients"
    with pytest.raises(BundleError, match="does not fit"):
        bundle.load(tmp_path / "again", require_signature=ours[1])


def test_two_signatures_or_a_long_one_are_refused(signed, tmp_path):
    contents = members(signed)
    contents["signature.ed25519"] += b"x"
    with pytest.raises(BundleError):
        bundle.load(packed(tmp_path / "long", contents, seal=False))


@pytest.mark.parametrize("content", [b"", b"no key", None])
def test_a_file_that_is_no_key_is_said_before_anything_is_written(content, tmp_path):
    key = tmp_path / "key.pem"
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(UsageError, match=r"key\.pem") as caught:
        write(tmp_path / "m", sign=key)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m").exists()
    with pytest.raises(UsageError, match=r"key\.pem"):
        signing.is_signed_by(b"", b"", key)


def test_a_key_of_another_kind_or_an_encrypted_one_is_refused(tmp_path):
    private, public = keys(tmp_path, "curve", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(UsageError, match="Expected an Ed25519 private key"):
        signing.sign(b"x", private)
    with pytest.raises(UsageError, match="Expected an Ed25519 public key"):
        signing.is_signed_by(b"x", b"y", public)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(*PLAIN[:2], serialization.BestAvailableEncryption(b"pw"))
    )
    with pytest.raises(UsageError, match="unencrypted"):
        signing.sign(b"x", locked)


def test_without_the_package_the_extra_is_named(monkeypatch, ours):
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(MissingExtraError, match=r"plainfilm\[sign\]"):
        signing.sign(b"x", ours[0])
