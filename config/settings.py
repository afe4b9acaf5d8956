"""Settings of Portico, all in one file; what differs between machines is read by `config.env`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import dj_database_url
from csp.constants import NONE, SELF

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("PORTICO_DATA", str(BASE_DIR / "var"))).resolve()

PORTICO_ENV = env.choice("PORTICO_ENV", "development", ("development", "production"))
PRODUCTION = PORTICO_ENV == "production"
DEBUG = False  # never: a traceback page is no answer to anybody, a developer reads the log

PORT = env.integer("PORT", 8000, at_least=1, at_most=65535)
# The one origin from which every SAML URL, link and redirect is derived; the request's Host is never asked.
PORTICO_BASE_URL = env.base_url("PORTICO_BASE_URL", f"http://127.0.0.1:{PORT}")
# Whom a person may ask who cannot get in or sees an empty page: a sentence, an address or a telephone number.
PORTICO_CONTACT = env.text("PORTICO_CONTACT", "your administrator")
# How many proxies of ours stand in front and append to X-Forwarded-For; 0 believes the connection's own address.
PORTICO_PROXY_HOPS = env.integer("PORTICO_PROXY_HOPS", 0, at_least=0, at_most=5)
# How long the record of a sign-in attempt is kept; `manage.py sweep` deletes what is older.
PORTICO_KEEP_ATTEMPTS_DAYS = env.integer("PORTICO_KEEP_ATTEMPTS_DAYS", 90, at_least=1, at_most=3650)
# Name servers for the verification of e-mail domains, as host:port; none is the machine's own configuration.
PORTICO_DNS_SERVERS = env.addresses("PORTICO_DNS_SERVERS")
# How many days ago an SSO and a break-glass sign-in may have succeeded for passwords to be switched off for the rest.
PORTICO_BREAK_GLASS_PROOF_DAYS = env.integer("PORTICO_BREAK_GLASS_PROOF_DAYS", 7, at_least=1, at_most=90)
# How long an API token lives if nobody says, and at most; how many that work a person may have at a time.
PORTICO_TOKEN_MAX_DAYS = env.integer("PORTICO_TOKEN_MAX_DAYS", 365, at_least=1, at_most=3650)
PORTICO_TOKEN_DAYS = env.integer(
    "PORTICO_TOKEN_DAYS", min(90, PORTICO_TOKEN_MAX_DAYS), at_least=1, at_most=PORTICO_TOKEN_MAX_DAYS
)
PORTICO_TOKENS_PER_USER = env.integer("PORTICO_TOKENS_PER_USER", 20, at_least=1, at_most=1000)
# How long an API token is kept that was revoked or has expired; `manage.py sweep_tokens` deletes what is older.
PORTICO_KEEP_ENDED_TOKENS_DAYS = env.integer("PORTICO_KEEP_ENDED_TOKENS_DAYS", 90, at_least=1, at_most=3650)
# How young a sign-in must be for its person to make an API token in a page, or to change whom this site believes.
PORTICO_FRESH_SIGN_IN_HOURS = env.integer("PORTICO_FRESH_SIGN_IN_HOURS", 8, at_least=1, at_most=24)
PORTICO_SENDS_HSTS = env.flag("PORTICO_HSTS", default=PORTICO_BASE_URL.startswith("https://"))

SECRET_KEY = (
    env.text("PORTICO_SECRET_KEY")
    if PRODUCTION
    else env.text("PORTICO_SECRET_KEY", env.kept_secret(DATA_DIR / "secret_key"))
)
# Fernet keys, comma-separated: the first encrypts the private keys that the database keeps, all of them decrypt.
PORTICO_ENCRYPTION_KEYS = env.fernet_keys("PORTICO_ENCRYPTION_KEYS")
# Loopback names stay allowed for health checks; nothing is ever derived from the Host header.
ALLOWED_HOSTS = [
    urlsplit(PORTICO_BASE_URL).hostname or "",
    "127.0.0.1",
    "localhost",
    "[::1]",
    *env.words("PORTICO_ALLOWED_HOSTS"),
]
CSRF_TRUSTED_ORIGINS = [PORTICO_BASE_URL]

INSTALLED_APPS = [
    "config.apps.PorticoAdmin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    # Not "allauth" itself: that one brings the templates, and without it no page of its design can ever be shown.
    "allauth.account",
    "allauth.mfa",
    "csp",
    "import_export",
    "audit",
    "accounts",
    "orgs",
    "tokens",
    "saml_sp",
    "pages",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "pages.middleware.ContentSecurityPolicy",
    "pages.middleware.no_store",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pages.context.site",
            ],
        },
    },
]

# PostgreSQL and nothing else. Settings never start a server: the launcher does, and hands DATABASE_URL on.
DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL"), engine="django.db.backends.postgresql", conn_max_age=60, conn_health_checks=False
    )
}
# What a sign-in asks again and again is planned once per connection (audit/statements.py). A pooler that hands
# connections round between transactions must know about prepared statements: PgBouncer does from 1.22 on.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("prepare_threshold", 2)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
# The second one lets nobody in: it knows what people may do (docs/access.md).
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "orgs.access.AccessBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "landing"
LOGOUT_REDIRECT_URL = "signed_out"

# Links in mails (set a password, invitations): they work once, and for so long.
PORTICO_LINK_HOURS = env.integer("PORTICO_LINK_HOURS", 72, at_least=1, at_most=24 * 14)
PASSWORD_RESET_TIMEOUT = PORTICO_LINK_HOURS * 3600
# Whether staff who signed in by password must have a second factor before the administration opens to them.
PORTICO_STAFF_SECOND_FACTOR = env.flag("PORTICO_STAFF_SECOND_FACTOR", default=PRODUCTION)

# Local accounts: django-allauth (docs/decisions/0012). The user's own row is the truth about the address, so that its
# table of addresses stays empty and signing in verifies none; changing an address does (accounts/email_change.py).
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]  # nobody signs up; its checks want it
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.invitations.Tokens"  # noqa: S105 - a class
ACCOUNT_FORMS = {
    "change_password": "accounts.forms.ChangePasswordForm",
    "reauthenticate": "accounts.forms.ReauthenticateForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
    "set_password": "accounts.forms.SetPasswordForm",
    "user_token": "accounts.forms.UserTokenForm",
}
MFA_ADAPTER = "accounts.second_factor.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # there is nobody who signed up with somebody else's address: accounts are made
MFA_TOTP_ISSUER = "Portico"
MFA_TOTP_TOLERANCE = 1  # one step of 30 s either way, for clocks that differ; each code works once (accounts/forms.py)
MFA_FORMS = {
    "activate_totp": "accounts.forms.ActivateTotpForm",
    "add_webauthn": "accounts.forms.AddPasskeyForm",
    "authenticate": "accounts.forms.CodeForm",
    "authenticate_webauthn": "accounts.forms.PasskeyForm",
    "login_webauthn": "accounts.forms.SignInByPasskeyForm",
    "reauthenticate": "accounts.forms.ConfirmByCodeForm",
    "reauthenticate_webauthn": "accounts.forms.ConfirmByPasskeyForm",
}

# What rate limits count, shared by all processes and nodes; memory would count for each process alone.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "accounts_cacheentry",
        # Beyond this a third is thrown away, expired or not. The default is 300: an attacker could make us forget.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# Mail. Without PORTICO_EMAIL_URL production sends none, and says so wherever one would be sent.
_MAIL = env.mail("PORTICO_EMAIL_URL", "" if PRODUCTION else f"file://{quote(str(DATA_DIR / 'mail'))}")
PORTICO_SENDS_MAIL = bool(_MAIL)
globals().update(_MAIL)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("PORTICO_EMAIL_FROM", f"Portico <portico@{urlsplit(PORTICO_BASE_URL).hostname}>")

# Cookies ignore ports, so their names carry the product's. Secure always: browsers accept it on loopback over http.
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_NAME = "portico_session"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 24 * 3600
CSRF_COOKIE_NAME = "portico_csrf"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "pages.views.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = 31_536_000 if PORTICO_SENDS_HSTS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PORTICO_SENDS_HSTS
SECURE_HSTS_PRELOAD = PORTICO_SENDS_HSTS
if PORTICO_BASE_URL.startswith("https://"):
    # The proxy in front terminates TLS and must overwrite this header; docs/operations.md says how.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# The proxy redirects http to https: doing it here as well would break health checks on loopback.
SECURE_SSL_REDIRECT = False
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # SECURE_SSL_REDIRECT, for the reason above

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "style-src": [SELF],
        "script-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# A SAML response of 256 KiB is 342 KiB in base64, plus RelayState: the form may be half a megabyte, uploads 1 MiB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
DATA_UPLOAD_MAX_NUMBER_FILES = 5
FILE_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None  # development serves from where the files are
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.text("PORTICO_LOG_LEVEL", "WARNING")},
    "loggers": {"django.security.DisallowedHost": {"level": "CRITICAL"}},
}
