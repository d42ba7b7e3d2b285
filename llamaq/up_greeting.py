"""Makes the greeting of `llamaq up` from what it has planned."""

from api.new_token import create_token
from api.settings import ApiSettings
from api.tenant import Tenant
from llamaq.dashboard_link import LINK_S, dashboard_link, link_claims
from llamaq.greeting import Greeting, url_here
from llamaq.home import Home
from llamaq.up_redis import UpRedis

_TOKEN_S = 24 * 3600


def greeting_of(
    home: Home, api: ApiSettings, redis_url: str, redis: UpRedis, *, finds: bool, expects: bool
) -> Greeting:
    """The greeting, with a token for a day and a link to the dashboard."""
    secret, names = api.jwt_secret.get_secret_value(), (api.jwt_audience, api.jwt_issuer)
    local_url = url_here(api.host, api.port, has_tls=api.tls_cert is not None)
    return Greeting(
        host=api.host,
        port=api.port,
        token=create_token(secret, Tenant("me"), _TOKEN_S, *names),
        redis_url=redis_url,
        redis_password=redis.password,
        redis_listen=redis.listen,
        data_dir=home.folder,
        kept_secret=home.jwt_secret.exists() and home.jwt_secret.read_text().strip() == secret,
        tls_cert=api.tls_cert and api.tls_cert.absolute(),
        redis_ca=redis.tls.fingerprint if redis.tls else "",
        dashboard=dashboard_link(local_url, link_claims(LINK_S, *names), secret),
        metrics_listen=api.metrics_listen,
        finds=finds,
        expects=expects,
    )
