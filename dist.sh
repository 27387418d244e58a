#!/bin/sh
# Builds what is given away: a static binary for each machine, twice, the second time from a copy of the source in another folder. The two must be the
# same to the byte. That they are built from a clean checkout is up to who calls: ri version says +dirty otherwise.
set -eu
cd "$(dirname "$0")"
rm -rf dist
mkdir dist
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -R . "$scratch/copy"
for arch in amd64 arm64; do
	name="ri-linux-$arch"
	entry= # see the Makefile
	[ $arch = amd64 ] && entry='-E ri/instruments/commands.begin'
	for from in . "$scratch/copy"; do
		# -trimpath and no build ID: neither the folder nor the machine is in the file.
		(cd "$from" && CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags="-s -w -buildid= $entry" -o "$scratch/out" ./cmd/ri)
		[ -z "$entry" ] || go run ./scripts/trim "$scratch/out"
		[ "$from" = . ] && mv "$scratch/out" "$scratch/1" || mv "$scratch/out" "$scratch/2"
	done
	if ! cmp -s "$scratch/1" "$scratch/2"; then
		echo "$name: two builds of the same source differ" >&2
		exit 1
	fi
	cp "$scratch/1" "dist/$name"
done
(cd dist && sha256sum ri-linux-* >SHA256SUMS && cat SHA256SUMS)
echo "dist/ri-linux-arm64 is untested: it opens cores of amd64 programs, and refuses processes."
