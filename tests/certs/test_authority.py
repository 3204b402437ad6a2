"""Making an authority, issuing from it, keeping it in files, and everything it refuses."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from certs import (
    AlreadyExists,
    Authority,
    Expired,
    Invalid,
    KeyKind,
    KeyMismatch,
    NotACertificate,
    NotAKey,
    NotAnAuthority,
    NotYetValid,
    Unreadable,
    Unwritable,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


@pytest.fixture
def authority() -> Authority:
    return Authority.create("Fleet CA", now=at(NOON))


def test_a_saved_authority_goes_on_where_it_stopped(authority: Authority, tmp_path: Path) -> None:
    """What it issues after loading is signed by the same certificate."""
    authority.save(tmp_path / "new" / "folder")

    loaded = Authority.load(tmp_path / "new" / "folder", now=at(NOON))

    issued = loaded.issue_client("ven-17")
    issued.certificate.verify_directly_issued_by(authority.certificate)


def test_private_keys_are_for_their_owner_only(authority: Authority, tmp_path: Path) -> None:
    """Mode 0600 from the first byte, and after an overwrite."""
    for force in (False, True):
        for pair in (authority.save(tmp_path, force=force), authority.issue_client("a").save(tmp_path, force=force)):
            assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
            assert stat.S_IMODE(pair.certificate.stat().st_mode) == 0o644
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.key", "a.pem", "ca.key", "ca.pem"]


@pytest.mark.parametrize("there", ["ca.pem", "ca.key"])
def test_nothing_is_overwritten_unless_forced(authority: Authority, tmp_path: Path, there: str) -> None:
    """One existing file is enough to refuse, and the other is not written."""
    (tmp_path / there).write_text("precious")

    with pytest.raises(AlreadyExists, match=there):
        authority.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"

    authority.save(tmp_path, force=True)
    assert Authority.load(tmp_path, now=at(NOON)).certificate == authority.certificate


def test_an_issued_certificate_never_takes_the_place_of_the_authority(authority: Authority, tmp_path: Path) -> None:
    """Not even when forced."""
    authority.save(tmp_path)
    with pytest.raises(Invalid, match=r"ca\.pem"):
        authority.issue_client("CA").save(tmp_path, force=True)
    assert Authority.load(tmp_path, now=at(NOON)).certificate == authority.certificate


@pytest.mark.parametrize(
    ("client_id", "stem"),
    [("../../etc/passwd", "_.._etc_passwd"), ("home 7/é", "home_7__"), ("...", "_"), ("ven-1.a_b", "ven-1.a_b")],
)
def test_a_client_id_cannot_leave_the_folder(authority: Authority, tmp_path: Path, client_id: str, stem: str) -> None:
    """The id stays as it is in the certificate and loses what a file name must not have."""
    issued = authority.issue_client(client_id)

    assert issued.save(tmp_path).key == tmp_path / f"{stem}.key"
    assert issued.certificate.subject == x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, client_id)])


def test_certificates_end_with_their_authority() -> None:
    """A longer life could not be verified."""
    authority = Authority.create("Fleet CA", now=at(NOON), lifetime=timedelta(days=100))

    assert authority.issue_client("a").certificate.not_valid_after_utc == NOON + timedelta(days=100)
    short = authority.issue_client("a", lifetime=timedelta(days=7))
    assert short.certificate.not_valid_after_utc == NOON + timedelta(days=7)


def test_certificates_hold_for_a_device_whose_clock_is_a_little_behind(authority: Authority) -> None:
    """Five minutes, for the authority and what it issues."""
    for certificate in (authority.certificate, authority.issue_client("a").certificate):
        assert certificate.not_valid_before_utc == NOON - timedelta(minutes=5)


def test_every_certificate_has_a_key_and_a_serial_of_its_own(authority: Authority) -> None:
    """Renewing does not reuse either."""
    first, second = authority.issue_client("a"), authority.issue_client("a")

    assert first.key_pem != second.key_pem
    assert first.certificate.serial_number != second.certificate.serial_number


def test_rsa_keys_have_2048_bits(authority: Authority) -> None:
    """For devices without elliptic curves."""
    key = authority.issue_server("localhost", key_kind=KeyKind.RSA_2048).key

    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 2048


def test_an_expired_authority_issues_nothing(authority: Authority, tmp_path: Path) -> None:
    """Ten years later."""
    authority.save(tmp_path)
    later = Authority.load(tmp_path, now=at(NOON + timedelta(days=3651)))

    with pytest.raises(Expired, match=r"Fleet CA expired at 2036-02-27T12:00:00\+00:00"):
        later.issue_client("ven-17")


def test_an_authority_of_the_future_issues_nothing(authority: Authority, tmp_path: Path) -> None:
    """A machine without a clock starts in 1970."""
    authority.save(tmp_path)
    early = Authority.load(tmp_path, now=at(datetime(1970, 1, 1, tzinfo=UTC)))

    with pytest.raises(NotYetValid, match="valid from 2026-03-01T11:55"):
        early.issue_client("ven-17")


def test_the_key_of_another_authority_is_noticed(authority: Authority, tmp_path: Path) -> None:
    """Two folders were mixed up."""
    authority.save(tmp_path)
    other = Authority.create("Fleet CA", now=at(NOON)).save(tmp_path / "other")
    other.key.replace(tmp_path / "ca.key")

    with pytest.raises(KeyMismatch, match=r"ca\.key is not the key of .*ca\.pem"):
        Authority.load(tmp_path, now=at(NOON))


def test_an_ordinary_certificate_is_no_authority(authority: Authority, tmp_path: Path) -> None:
    """A client cannot make clients."""
    pair = authority.issue_client("ven-17").save(tmp_path)
    pair.certificate.replace(tmp_path / "ca.pem")
    pair.key.replace(tmp_path / "ca.key")

    with pytest.raises(NotAnAuthority, match=r"ca\.pem: CN=ven-17 may not sign"):
        Authority.load(tmp_path, now=at(NOON))


def test_missing_and_unreadable_files_are_named(authority: Authority, tmp_path: Path) -> None:
    """The certificate, the key, or a folder in the place of one."""
    with pytest.raises(Unreadable, match=r"ca\.pem cannot be read: No such file"):
        Authority.load(tmp_path, now=at(NOON))
    pair = authority.save(tmp_path)
    pair.key.unlink()
    with pytest.raises(Unreadable, match=r"ca\.key cannot be read: No such file"):
        Authority.load(tmp_path, now=at(NOON))
    pair.key.mkdir()
    with pytest.raises(Unreadable, match=r"ca\.key cannot be read: Is a directory"):
        Authority.load(tmp_path, now=at(NOON))


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_is_named(authority: Authority, tmp_path: Path, content: bytes) -> None:
    """Empty, text, or damaged."""
    authority.save(tmp_path).certificate.write_bytes(content)

    with pytest.raises(NotACertificate, match=r"ca\.pem holds something else, expected a certificate"):
        Authority.load(tmp_path, now=at(NOON))


def test_a_key_in_the_place_of_the_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    """And a certificate in the place of the key."""
    pair = authority.save(tmp_path)
    pair.key.write_bytes(authority.certificate_pem)
    with pytest.raises(NotAKey, match=r"ca\.key holds no private key"):
        Authority.load(tmp_path, now=at(NOON))

    pair.certificate.write_bytes(authority.issue_client("a").key_pem)
    with pytest.raises(NotACertificate, match=r"ca\.pem holds a private key, expected a certificate"):
        Authority.load(tmp_path, now=at(NOON))


def test_a_folder_that_cannot_be_written_is_named(authority: Authority, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")

    with pytest.raises(Unwritable, match=r"file/ca\.key cannot be written"):
        authority.save(tmp_path / "file")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65])
def test_a_name_no_certificate_can_carry_is_refused(authority: Authority, name: str) -> None:
    """For the authority and for clients."""
    with pytest.raises(Invalid, match="expected 1 to 64 printable characters"):
        authority.issue_client(name)
    with pytest.raises(Invalid, match="expected 1 to 64 printable characters"):
        Authority.create(name, now=at(NOON))


@pytest.mark.parametrize(
    "name",
    ["https://vtn.example.org", "vtn.example.org:8081", "a..b", "*", "münchen.example", "10.0.0.300", "a b", "-a.org"],
)
def test_an_alternative_name_that_is_no_host_is_refused(authority: Authority, name: str) -> None:
    """The message shows the forms that are."""
    with pytest.raises(Invalid, match="neither a DNS name nor an IP address"):
        authority.issue_server("localhost", alternative_names=[name])


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=9_999_999)])
def test_a_lifetime_that_no_calendar_has_is_refused(authority: Authority, lifetime: timedelta) -> None:
    """Nothing, less than nothing, and beyond the year 9999."""
    with pytest.raises(Invalid, match="lifetime"):
        authority.issue_client("a", lifetime=lifetime)
    with pytest.raises(Invalid, match="lifetime"):
        Authority.create("CA", now=at(NOON), lifetime=lifetime)
