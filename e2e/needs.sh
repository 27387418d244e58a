#!/bin/sh
# Installs what the tests call besides Go, where it is missing and can be installed: Debian packages, as root.
set -eu
missing=""
for pair in gcc:gcc gdb:gdb tmux:tmux zsh:zsh fish:fish unshare:util-linux setpriv:util-linux ovsdb-tool:openvswitch-common ovsdb-server:openvswitch-switch chromium:chromium ip:iproute2; do
	command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "The tests need these Debian packages, or what corresponds to them:$missing" >&2
	exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
