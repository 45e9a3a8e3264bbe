"""What an address among the settings may look like; each function raises ValueError with what is wrong."""

import re

_S3_ADDRESS = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.'()-]+)*")


def several(text: str) -> tuple[str, ...]:
    """Addresses between spaces or commas; a comma within one stays.

    >>> several("mailto://a:b@h?to=ann@h.org,bob@h.org, slack://c")
    ('mailto://a:b@h?to=ann@h.org,bob@h.org', 'slack://c')
    """
    given = text.strip(" ,\t\r\n")
    return tuple(re.split(r"[\s,]+(?=[A-Za-z0-9]+://)", given)) if given else ()


def postgresql_address(address: str) -> str:
    """The address of a database as psycopg2 takes it."""
    # Airflow writes postgres://; SQLAlchemy's form names the driver: all of them mean the same server.
    url = re.sub(r"^(postgres|postgresql\+psycopg2)://", "postgresql://", address)
    if not url.startswith("postgresql://"):
        raise ValueError("must look like postgresql://user:password@host:5432/name")
    if not _can_be_parsed(url):
        raise ValueError("cannot be parsed: write special characters of user and password as %XX, such as %40 for @")
    return url


def web_address(address: str) -> str:
    """An address of the web, or none."""
    if re.fullmatch(r"(https?://[^\s/?#]+\S*)?", address):
        return address
    raise ValueError("must look like https://host/path")


def public_address(address: str) -> str:
    """An address that everyone who gets a message may read."""
    if re.search(r"://[^/?#\s]*@", address):
        raise ValueError("it stands in every message: leave out the login before the @")
    return address


def object_store_address(address: str) -> str:
    """The address of a bucket, with or without a prefix."""
    address = address.rstrip("/")
    if "@" in address:
        raise ValueError(
            "must not hold credentials: write s3://bucket/prefix, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if not _S3_ADDRESS.fullmatch(address):
        raise ValueError("must be a local or mounted folder, or look like s3://bucket/prefix")
    return address


def _can_be_parsed(url: str) -> bool:
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    try:
        parts = parse_dsn(url)
    except ProgrammingError:
        return False
    # A slash or an at sign in the password moves what follows it into another part.
    misplaced = "@" in parts.get("host", "") or "@" in parts.get("dbname", "")
    return not misplaced and all(re.fullmatch(r"\d{0,5}", port) for port in parts.get("port", "").split(","))
