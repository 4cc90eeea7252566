#!/bin/sh
# Starts nginx, with and without Docker: validates the environment, renders the configuration into nginx's prefix directory,
# runs nginx, and reloads it when the certificate changes. Plain sh with what the official image has; runs as any user and
# installs nothing.
#
# Without Docker `make up` sets NGINX_PROGRAM, NGINX_PREFIX, NGINX_TLS, NGINX_LISTEN and NGINX_GATEWAY.
#
# It stays as nginx's parent, because a reload and a stop need different time limits (docs/decisions/0008): a reload lets the
# longest response finish, a stop waits SHUTDOWN_GRACE. When nginx exits, it exits with nginx's status.
set -eu
umask 077

templates=$(cd "$(dirname "$0")" && pwd)
program=${NGINX_PROGRAM:-nginx}
run=${NGINX_PREFIX:-/tmp/nginx}
certificate=${NGINX_TLS:-/run/glasshouse/tls}/cert.pem
key=${NGINX_TLS:-/run/glasshouse/tls}/key.pem
listen=${NGINX_LISTEN:-} # empty in Docker
maker='the service init makes them, for GLASSHOUSE_UID'
if [ -n "$listen" ]; then maker='make up makes them'; fi
look_every_s=2
own=$run/own-responses
files_wanted=16384 # two per request

say() { printf 'nginx/start.sh: %s\n' "$*" >&2; }

refuse() { # name value allowed
    say "$1='$2' in the environment is not allowed: $3."
    exit 2
}

whole_number() { # name default lowest highest; prints the value
    eval "value=\${$1:-$2}"
    case $value in '' | *[!0-9]* | ???????????*) refuse "$1" "$value" "a whole number from $3 to $4 is" ;; esac
    if [ "$value" -lt "$3" ] || [ "$value" -gt "$4" ]; then refuse "$1" "$value" "a whole number from $3 to $4 is"; fi
    printf %s "$value"
}

read_timeout() { # prints it; longer than the gateway's (which may have fractions), so that the gateway times out first
    value=${TOTAL_TIMEOUT:-900}
    allowed="seconds from 1 to 86400 are"
    whole=${value%%.*}
    fraction=${value#"$whole"}
    case $whole in '' | *[!0-9]* | ??????*) refuse TOTAL_TIMEOUT "$value" "$allowed" ;; esac
    case ${fraction#.} in *[!0-9]*) refuse TOTAL_TIMEOUT "$value" "$allowed" ;; esac
    if [ "$whole" -lt 1 ] || [ "$whole" -gt 86400 ]; then refuse TOTAL_TIMEOUT "$value" "$allowed"; fi
    echo $((whole + 30 + (${#fraction} > 0)))
}

redirect_host() { # prints the host that plain HTTP is redirected to
    value=${TLS_DOMAIN:-}
    if [ -z "$value" ]; then
        # shellcheck disable=SC2016  # nginx's own variable: the host that was asked for
        echo '$host'
        return
    fi
    allowed="a full domain name such as llm.example.org is"
    label='[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
    case $value in *[!A-Za-z0-9.-]*) refuse TLS_DOMAIN "$value" "$allowed" ;; esac
    if [ "${#value}" -gt 253 ] || ! echo "$value" | grep -qxE "($label\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])"; then
        refuse TLS_DOMAIN "$value" "$allowed"
    fi
    echo "$value"
}

trusted_proxies() { # prints nginx's directives for TRUSTED_PROXIES; nothing if there are none
    value=${TRUSTED_PROXIES:-}
    allowed="addresses and networks such as 10.0.0.0/8,2001:db8::/32, separated by commas, are"
    case $value in *[!0-9A-Fa-f:./,\ ]*) refuse TRUSTED_PROXIES "$value" "$allowed" ;; esac
    octet='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
    for network in $(echo "$value" | tr ',' ' '); do
        case $network in
        */0 | */00 | */000) refuse TRUSTED_PROXIES "$network" "everybody could choose an address; $allowed" ;;
        *:*) # let nginx itself validate an IPv6 address
            echo "events {} http { set_real_ip_from $network; }" >"$run/network.conf"
            "$program" -t -q -e stderr -g "pid $run/network.pid;" -c "$run/network.conf" >/dev/null 2>&1 ||
                refuse TRUSTED_PROXIES "$network" "$allowed"
            ;;
        *)
            echo "$network" | grep -qxE "($octet\.){3}$octet(/([1-9]|[12][0-9]|3[0-2]))?" ||
                refuse TRUSTED_PROXIES "$network" "$allowed"
            ;;
        esac
        echo "set_real_ip_from $network;"
    done
    if [ -n "${network:-}" ]; then echo "real_ip_header X-Forwarded-For; real_ip_recursive on;"; fi
}

limits() { # prints the limits of the TLS server; 0 is no limit
    if [ "$rate" -gt 0 ]; then echo "limit_req zone=requests burst=$((2 * rate)) nodelay;"; fi
    if [ "$connections" -gt 0 ]; then echo "limit_conn connections $connections;"; fi
}

read_environment() {
    MAX_BODY_BYTES=$(whole_number MAX_BODY_BYTES 10485760 1024 1073741824)
    READ_TIMEOUT=$(read_timeout)
    grace=$(whole_number SHUTDOWN_GRACE 30 1 3600)
    port=$(whole_number HTTPS_PORT 443 1 65535)
    rate=$(whole_number RATE_LIMIT_RPS 1000 0 1000000)
    connections=$(whole_number CONNECTIONS_PER_IP 1024 0 65535)
    REDIRECT_TO=$(redirect_host)
    if [ "$port" -ne 443 ]; then REDIRECT_TO="$REDIRECT_TO:$port"; fi
    TRUSTED=$(trusted_proxies)
    RATE=$((rate > 0 ? rate : 1))
    LIMITS=$(limits)
    # Only with a domain: on localhost or an address it would affect whatever else is served there.
    HSTS=
    if [ -n "${TLS_DOMAIN:-}" ]; then HSTS='add_header strict-transport-security "max-age=63072000" always;'; fi
}

read_surroundings() { # settings that depend on the platform, the user and nginx's version
    version=$("$program" -v 2>&1 | sed -n 's|.*nginx/\([0-9.]*\).*|\1|p')
    # Started by root, nginx would run its workers as `nobody`, who cannot enter the prefix.
    if [ "$(id -u)" -eq 0 ]; then USER_LINE="user root $(id -gn);"; else USER_LINE=; fi
    LISTEN="${listen:-443} ssl"
    HTTP2=
    if at_least 1.25.1; then HTTP2='http2 on;'; else LISTEN="$LISTEN http2"; fi
    KEEPALIVE_MIN_TIMEOUT=
    # A reload closes a connection only after it has been idle for this long, so no request is lost. An older nginx closes
    # idle connections at once, which a client must expect of any idle connection.
    if at_least 1.27.4; then KEEPALIVE_MIN_TIMEOUT='keepalive_min_timeout 5s;'; fi
    GATEWAY=${NGINX_GATEWAY:-api:8000 resolve}
    RESOLVER=
    GRAFANA=
    DOCKER=
    if [ -n "$listen" ]; then return; fi
    address=$(awk '$1 == "nameserver" && $2 !~ /:/ {print $2; exit}' /etc/resolv.conf)
    if [ -z "$address" ]; then
        say "/etc/resolv.conf names no nameserver with an IPv4 address, so the gateway cannot be found."
        exit 1
    fi
    # Docker's DNS: a container that is re-created has another address.
    RESOLVER="resolver $address valid=2s ipv6=off; resolver_timeout 2s;"
    GRAFANA='include config/grafana.conf;'
    DOCKER='include docker.conf;'
}

at_least() { # version; whether nginx is at least that version
    awk -v have="$version" -v wanted="$1" 'BEGIN {
        split(have, h, "."); split(wanted, w, ".")
        for (i = 1; i <= 3; i++) if (h[i] + 0 != w[i] + 0) exit h[i] + 0 < w[i] + 0
    }'
}

render() { # name; an unchanged file is not written, so that nginx starts on a full disk
    rendered=$(awk '{
        while (match($0, /[$][{][A-Z0-9_]+[}]/)) {
            printf "%s%s", substr($0, 1, RSTART - 1), ENVIRON[substr($0, RSTART + 2, RLENGTH - 3)]
            $0 = substr($0, RSTART + RLENGTH)
        }
        print
    }' "$templates/$1.template")
    [ "$rendered" = "$(cat "$run/$1" 2>/dev/null)" ] || printf '%s\n' "$rendered" >"$run/$1"
}

link() { # name target; a link below the prefix needs no quoting in nginx's configuration
    [ "$(readlink "$run/$1")" = "$2" ] || ln -sfn "$2" "$run/$1"
}

write_configuration() {
    export MAX_BODY_BYTES READ_TIMEOUT REDIRECT_TO TRUSTED RATE LIMITS HSTS
    export USER_LINE LISTEN HTTP2 KEEPALIVE_MIN_TIMEOUT GATEWAY RESOLVER GRAFANA DOCKER
    link config "$templates"
    link tls "${certificate%/*}"
    render nginx.conf
    if [ -z "$listen" ]; then render docker.conf; fi
}

allow_files() { # the soft limit may be as low as 1024 files
    # shellcheck disable=SC3045  # dash has -S and -H
    ulimit -S -n "$(ulimit -H -n)" || true
    files=$(ulimit -n)
    if [ "$files" != unlimited ] && [ "$files" -lt "$files_wanted" ]; then
        say "can open $files files, enough for about $((files / 2)) concurrent requests; more have to wait."
    fi
}

become_nginx() { exec "$program" -p "$run" -e stderr -c "$run/nginx.conf" "$@"; }

acceptable() { said=$( (become_nginx -t -q) 2>&1); }

pair() { cat "$certificate" "$key" 2>/dev/null | cksum; }

wait_for_certificate() { # it may be being written
    for _ in 1 2 3 4 5; do
        loaded=$(pair)
        if acceptable; then return; fi
        sleep 1
    done
    if [ ! -r "$certificate" ] || [ ! -r "$key" ]; then
        say "$certificate and $key cannot be read by user $(id -u): $maker."
    else
        printf '%s\n' "$said" >&2
        say "nginx rejects its configuration or certificate, see above."
    fi
    exit 1
}

nap() { # seconds; a TERM ends it and its subshell, and leaves no process behind
    sleeper=
    trap 'kill $sleeper 2>/dev/null; exit 0' TERM
    sleep "$1" &
    sleeper=$!
    wait "$sleeper"
}

# nginx-exporter does not know the status of responses, and what nginx answers itself is in no metric of the gateway.
count_own_responses() { # in Docker, where Prometheus reads the file through nginx
    if [ -n "$listen" ]; then return; fi
    size=$(cat "$own.log" 2>/dev/null | wc -c)
    if [ "$size" = "$counted" ]; then return; fi
    cat "$own.counts" "$own.log" 2>/dev/null | awk '
        { count[$1] += NF > 1 ? $2 : 1 }
        END { for (code = 500; code <= 504; code++) if (code != 501) print code, count[code] + 0 }' >"$own.sums"
    {
        echo '# HELP nginx_own_responses_total Requests to the API that nginx answered itself with a 5xx.'
        echo '# TYPE nginx_own_responses_total counter'
        sed 's/\(.*\) \(.*\)/nginx_own_responses_total{code="\1"} \2/' "$own.sums"
    } >"$own.new"
    mv "$own.new" "$own.metrics"
    if [ "$size" -gt 1048576 ]; then # /tmp is memory
        : >"$own.log"
        mv "$own.sums" "$own.counts"
        size=0
    fi
    counted=$size
}

watch_nginx() { # its certificate, and its own responses
    refused=
    while nap "$look_every_s"; do
        count_own_responses
        now=$(pair)
        if [ "$now" = "$loaded" ] || [ "$now" = "$refused" ]; then continue; fi
        if acceptable; then
            kill -HUP "$nginx"
            loaded=$now
            say "a new certificate is in use."
        else # probably half of the pair; the other half is another change
            refused=$now
            say "the new certificate is incomplete or invalid, the old one stays: $(printf '%s\n' "$said" | tail -n 1)"
        fi
    done
}

# shellcheck disable=SC2317  # a trap calls it
stop() { # running responses may finish, within SHUTDOWN_GRACE
    trap : QUIT TERM INT
    kill -QUIT "$nginx" || return 0
    (nap "$grace" && kill -TERM "$nginx") &
    helpers="$helpers $!"
}

mkdir -p "$run"
trap 'exit 0' QUIT TERM INT
read_environment
read_surroundings
write_configuration
allow_files
counted=
count_own_responses
wait_for_certificate
become_nginx &
nginx=$!
trap stop QUIT TERM INT
watch_nginx &
helpers=$!
# A signal ends `wait` early, with a status of its own.
while kill -0 "$nginx" 2>/dev/null; do
    status=0
    wait "$nginx" || status=$?
done
# shellcheck disable=SC2086  # one or two numbers
kill $helpers 2>/dev/null || true
exit "$status"
