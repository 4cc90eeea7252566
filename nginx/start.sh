#!/bin/sh
# Starts nginx in its container: checks the environment, renders the configuration into /tmp/nginx, runs nginx, and
# reloads it when the certificate changes. Debian's sh and the official image's tools; runs as any user.
set -eu

here=/etc/glasshouse/nginx
run=/tmp/nginx
cert=/run/glasshouse/tls/cert.pem
key=/run/glasshouse/tls/key.pem
watch_every_s=3

say() { echo "nginx/start.sh: $*" >&2; }

refuse() { # name value allowed
    say "$1='$2' in the environment is not allowed: $3."
    exit 2
}

whole_number() { # name default lowest highest: prints the value
    eval "value=\${$1:-$2}"
    case $value in '' | *[!0-9]* | ???????????*) refuse "$1" "$value" "a whole number from $3 to $4 is" ;; esac
    [ "$value" -ge "$3" ] && [ "$value" -le "$4" ] || refuse "$1" "$value" "a whole number from $3 to $4 is"
    echo "$value"
}

domain() {
    value=${TLS_DOMAIN:-}
    [ -n "$value" ] || return 0
    allowed="a full domain name such as llm.example.org is"
    case $value in *[!A-Za-z0-9.-]*) refuse TLS_DOMAIN "$value" "$allowed" ;; esac
    label='[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
    printf %s "$value" | grep -qxE "($label\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])" || refuse TLS_DOMAIN "$value" "$allowed"
    [ "${#value}" -le 253 ] || refuse TLS_DOMAIN "$value" "$allowed"
    echo "$value"
}

real_ip() { # prints a set_real_ip_from line for each of TRUSTED_PROXIES
    allowed="addresses and networks such as 10.0.0.0/8,2001:db8::/32, separated by commas, are"
    value=${TRUSTED_PROXIES:-}
    case $value in *[!0-9A-Fa-f:./,\ ]*) refuse TRUSTED_PROXIES "$value" "$allowed" ;; esac
    octet='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
    for network in $(echo "$value" | tr ',' ' '); do
        case $network in
        */0) refuse TRUSTED_PROXIES "$network" "it would let everybody choose an address; $allowed" ;;
        *:*)
            mkdir -p "$run"
            echo "events {} http { set_real_ip_from $network; }" >"$run/network.conf"
            nginx -t -q -g "pid $run/network.pid;" -c "$run/network.conf" 2>/dev/null || refuse TRUSTED_PROXIES "$network" "$allowed"
            ;;
        *)
            echo "$network" | grep -qxE "($octet\.){3}$octet(/([1-9]|[12][0-9]|3[0-2]))?" || refuse TRUSTED_PROXIES "$network" "$allowed"
            ;;
        esac
        echo "set_real_ip_from $network;"
    done
}

render() {
    umask 077
    mkdir -p "$run"
    MAX_BODY_BYTES=$(whole_number MAX_BODY_BYTES 10485760 1024 1073741824)
    total_timeout=$(whole_number TOTAL_TIMEOUT 900 1 86400)
    READ_TIMEOUT=$((total_timeout + 30))
    grace=$(whole_number SHUTDOWN_GRACE 30 1 3600)
    https_port=$(whole_number HTTPS_PORT 443 1 65535)
    rate=$(whole_number RATE_LIMIT_RPS 100 0 1000000)
    connections=$(whole_number CONNECTIONS_PER_IP 256 0 65535)
    REDIRECT_HOST=$(domain)
    REDIRECT_HOST=${REDIRECT_HOST:-\$host}
    REDIRECT_PORT=
    [ "$https_port" -eq 443 ] || REDIRECT_PORT=":$https_port"
    REAL_IP=$(real_ip)
    RATE_ZONE=
    LIMITS=
    if [ "$rate" -gt 0 ]; then
        RATE_ZONE="limit_req_zone \$binary_remote_addr zone=requests:4m rate=${rate}r/s;"
        LIMITS="limit_req zone=requests burst=$((2 * rate)) nodelay;"
    fi
    [ "$connections" -eq 0 ] || LIMITS="$LIMITS limit_conn connections $connections;"
    RESOLVER=$(awk '$1 == "nameserver" && $2 !~ /:/ {print $2; exit}' /etc/resolv.conf)
    [ -n "$RESOLVER" ] || { say "/etc/resolv.conf names no IPv4 nameserver."; exit 1; }
    export MAX_BODY_BYTES READ_TIMEOUT REDIRECT_HOST REDIRECT_PORT REAL_IP RATE_ZONE LIMITS RESOLVER
    envsubst '${MAX_BODY_BYTES} ${READ_TIMEOUT} ${REDIRECT_HOST} ${REDIRECT_PORT} ${REAL_IP} ${RATE_ZONE} ${LIMITS} ${RESOLVER}' \
        <"$here/nginx.conf.template" >"$run/nginx.conf"
}

run_nginx() { exec nginx -p "$run" -e stderr -c "$run/nginx.conf" "$@"; }

good() { (run_nginx -t -q) >"$run/check" 2>&1; }

state() { cat "$cert" "$key" 2>/dev/null | cksum; }

first_certificate() { # it may just be written
    tries=0
    until good; do
        tries=$((tries + 1))
        if [ "$tries" -ge 5 ]; then
            cat "$run/check" >&2
            say "nginx does not take its configuration or the certificate in $cert and $key; the service init makes one if both are missing."
            exit 1
        fi
        sleep 1
    done
}

watch_certificate() { # pid of nginx
    complained=
    while sleep "$watch_every_s"; do
        now=$(state)
        [ "$now" != "$loaded" ] || continue
        if good; then
            kill -HUP "$1"
            loaded=$now
            complained=
            say "a new certificate is in use"
        elif [ "$now" != "$complained" ]; then
            complained=$now
            say "the new certificate is not whole yet, or wrong; the old one stays: $(tail -n 1 "$run/check")"
        fi
    done
}

stop() { # running answers may end, but no longer than SHUTDOWN_GRACE
    trap '' QUIT TERM INT
    kill -QUIT "$nginx" 2>/dev/null || return 0
    (sleep "$grace" && kill -TERM "$nginx") 2>/dev/null &
}

render
# Docker's soft limit may be 1024 files; each request takes two.
ulimit -S -n "$(ulimit -H -n)" 2>/dev/null || true
loaded=$(state)
first_certificate
run_nginx &
nginx=$!
trap stop QUIT TERM INT
watch_certificate "$nginx" &
# `wait` also returns when a signal comes in.
while kill -0 "$nginx" 2>/dev/null; do
    status=0
    wait "$nginx" || status=$?
done
exit "$status"
