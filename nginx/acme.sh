#!/bin/sh
# Gets a certificate for TLS_DOMAIN by ACME and renews it, in certbot's container (profile `acme`): as any user, installing
# nothing. nginx serves the challenge from a shared volume and reloads when the new pair is in place. Until there is a
# trusted certificate, the self-signed one is left alone.
set -eu
umask 077

webroot=/run/glasshouse/acme-webroot
tls=/run/glasshouse/tls
shortest_pause_s=900 # four attempts an hour: Let's Encrypt allows five failures per name
longest_pause_s=43200

say() { printf 'nginx/acme.sh: %s\n' "$*" >&2; }

refuse() { # name value allowed
    say "$1='$2' in the environment is not allowed: $3."
    exit 2
}

read_environment() {
    domain=${TLS_DOMAIN:-}
    email=${ACME_EMAIL:-}
    server=${ACME_SERVER:-}
    every_s=${ACME_INTERVAL:-43200}
    label='[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
    allowed="a full domain name that leads to this machine, such as llm.example.org, is"
    case $domain in *[!A-Za-z0-9.-]*) refuse TLS_DOMAIN "$domain" "$allowed" ;; esac
    if [ "${#domain}" -gt 253 ] || ! echo "$domain" | grep -qxE "($label\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])"; then
        refuse TLS_DOMAIN "$domain" "$allowed"
    fi
    case $email in
    '') ;;
    *[!A-Za-z0-9.@_+-]* | *@*@* | @* | *@ | -*) refuse ACME_EMAIL "$email" "one e-mail address, or nothing, is" ;;
    *@*.*) ;;
    *) refuse ACME_EMAIL "$email" "one e-mail address, or nothing, is" ;;
    esac
    case ${ACME_STAGING:-0} in
    0) authority=https://acme-v02.api.letsencrypt.org/directory ;;
    1) authority=https://acme-staging-v02.api.letsencrypt.org/directory ;;
    *) refuse ACME_STAGING "$ACME_STAGING" "1 for Let's Encrypt's staging server, or 0, is" ;;
    esac
    case $server in
    '') ;;
    *[!A-Za-z0-9.:/_-]*) refuse ACME_SERVER "$server" "the https:// address of a certificate authority's directory is" ;;
    https://?*) authority=$server ;;
    *) refuse ACME_SERVER "$server" "the https:// address of a certificate authority's directory is" ;;
    esac
    case $every_s in '' | *[!0-9]* | ???????*) refuse ACME_INTERVAL "$every_s" "a whole number of seconds from 1 to 604800 is" ;; esac
    if [ "$every_s" -lt 1 ] || [ "$every_s" -gt 604800 ]; then
        refuse ACME_INTERVAL "$every_s" "a whole number of seconds from 1 to 604800 is"
    fi
    # Each authority has a place of its own: a certificate of the staging server is never taken for a real one.
    data=/data/acme/$(printf %s "${authority#https://}" | tr -c 'A-Za-z0-9.-' '_')
    live=$data/config/live/$domain
}

pause() { # seconds; a signal ends it at once
    sleep "$1" &
    child=$!
    wait "$child"
}

jittered() { # seconds; prints them with up to 10 % jitter, so that renewals do not coincide
    awk -v s="$1" -v seed="$(od -An -N3 -tu4 /dev/urandom)" 'BEGIN {srand(seed); printf "%d", s * (0.9 + rand() / 5) + 0.5}'
}

fetch() { # url; prints the response body
    python3 -c '
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=5).read(100).decode("ascii", "replace"))' "$1" 2>/dev/null
}

wait_for_nginx() { # until it serves the webroot
    mkdir -p "$webroot/.well-known/acme-challenge"
    printf glasshouse >"$webroot/.well-known/acme-challenge/probe"
    said=
    until [ "$(fetch http://nginx/.well-known/acme-challenge/probe)" = glasshouse ]; do
        if [ -z "$said" ]; then say "waiting for nginx to serve $webroot on port 80."; fi
        said=yes
        pause 2
    done
}

ask() { # issues the certificate, or renews it if due; keeps certbot's output
    set -- certonly --non-interactive --agree-tos --keep-until-expiring --server "$authority" \
        --webroot --webroot-path "$webroot" --cert-name "$domain" --domain "$domain" \
        --config-dir "$data/config" --work-dir "$data/work" --logs-dir "$data/logs" --max-log-backups 20
    if [ -n "$email" ]; then set -- "$@" --email "$email"; else set -- "$@" --register-unsafely-without-email; fi
    certbot "$@" >"$HOME/said" 2>&1 &
    child=$!
    wait "$child"
}

hand_over() { # each file is replaced atomically; nginx reloads when both are there
    if cmp -s "$live/fullchain.pem" "$tls/cert.pem" && cmp -s "$live/privkey.pem" "$tls/key.pem"; then return; fi
    {
        cp "$live/privkey.pem" "$tls/.key.pem.new" && cp "$live/fullchain.pem" "$tls/.cert.pem.new" &&
            mv -f "$tls/.key.pem.new" "$tls/key.pem" && mv -f "$tls/.cert.pem.new" "$tls/cert.pem"
    } 2>>"$HOME/said" || return
    say "a certificate for $domain by $authority is in $tls."
}

why() { # one sentence from certbot's output: what is wrong and what to do
    detail=$(sed -n 's/^ *Detail: *//p' "$HOME/said" | head -n 1 | cut -c 1-200)
    case $(tr 'A-Z\n' 'a-z ' <"$HOME/said" | tr -s ' ') in
    *"type: dns"* | *nxdomain* | *"no such host"*) echo "DNS has no address for $domain: add an A record with this machine's public address ($detail)" ;;
    *"type: caa"*) echo "a CAA record of $domain forbids this certificate authority: change the record or ACME_SERVER ($detail)" ;;
    *"type: connection"*) echo "port 80 of $domain cannot be reached from outside: open it in the firewall and publish nginx's port 80 ($detail)" ;;
    *"type: unauthorized"*) echo "$domain does not lead to this nginx: correct its A and AAAA records, or the proxy in front of it ($detail)" ;;
    *ratelimited* | *"too many "*)
        pause_s=$longest_pause_s
        echo "the certificate authority's rate limit is reached: wait, and try with ACME_STAGING=1 meanwhile ($(grep -i 'too many\|ratelimited' "$HOME/said" | head -n 1))"
        ;;
    *rejectedidentifier*) echo "the certificate authority gives no certificate for $domain: take a name in a public domain that is yours" ;;
    *"certificate verify failed"* | *certificate_verify_failed*) echo "the certificate of $authority is not trusted here: name its authority's file in REQUESTS_CA_BUNDLE" ;;
    *"connection refused"* | *"max retries"* | *"name resolution"* | *"timed out"*) echo "$authority cannot be reached from this container: see its network, and ACME_SERVER" ;;
    *"no space left"* | *"read-only file system"* | *"permission denied"*) echo "$data, $webroot or $tls cannot be written by user $(id -u): give it to GLASSHOUSE_UID" ;;
    *) echo "certbot failed: see $data/logs/letsencrypt.log ($(grep -v '^Saving debug log\|^Ask for help' "$HOME/said" | tail -n 1))" ;;
    esac
}

export HOME=/tmp/acme
child=
trap 'kill $child 2>/dev/null; exit 0' TERM INT QUIT
mkdir -p "$HOME"
read_environment
wait_for_nginx
pause_s=$shortest_pause_s
while :; do
    if ask && hand_over; then
        : >"$HOME/certified" # the container's health check tests for it
        pause_s=$shortest_pause_s
        pause "$(jittered "$every_s")"
    else
        rm -f "$HOME/certified"
        why >"$HOME/why"
        say "no certificate for $domain: $(cat "$HOME/why"). Next try in $((pause_s / 60)) minutes; restart this service to try at once."
        pause "$pause_s"
        pause_s=$((pause_s * 2 < longest_pause_s ? pause_s * 2 : longest_pause_s))
    fi
done
