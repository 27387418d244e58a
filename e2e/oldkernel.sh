#!/usr/bin/env bash
# ri trace on Debian 12's kernel (6.1), which has no uprobe_multi links: in qemu, without virtualization if need be.
# Needs root once, for packages: qemu-system-x86, busybox-static, cpio. Takes two to three minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
missing=
for pair in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ]; then
	apt-get update -qq
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
image=${KERNEL_PACKAGE:-$(apt-cache search '^linux-image-6\.1\.0-[0-9]*-cloud-amd64$' | sort -V | tail -1 | cut -d' ' -f1)}
[ -n "$image" ] || { echo "no package of a kernel 6.1: set KERNEL_PACKAGE" >&2; exit 1; }
(cd "$work" && apt-get download -qq "$image" 2>/dev/null && dpkg-deb -x ./*.deb kernel)

mkdir -p "$work"/tree/{bin,proc,sys,tmp,dev}
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/tree/bin/ri" ./cmd/ri
CGO_ENABLED=0 go build -trimpath -o "$work/tree/bin/target" ./e2e/testdata/oldkernel
cp "$(command -v busybox)" "$work/tree/bin/"
cat >"$work/tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
target & p=$!
sleep 2
echo "KERNEL $(uname -r)"
echo "DOCTOR $(ri doctor -p $p | grep '^probes')"
ri trace --budget 90% -p $p main.work --limit 20 --ndjson >/tmp/entries 2>/tmp/said
echo "ENTRIES exit $? rows $(grep -c '"times"' /tmp/entries) $(tail -1 /tmp/said)"
ri trace --budget 90% -p $p main.work --when 'o.number % 2 == 0 && o.name == "order"' --limit 5 --ndjson >/tmp/even 2>/tmp/said ||
	ri trace --budget 90% -p $p main.work --when 'o.number > 3 && o.name == "order"' --limit 5 --ndjson >/tmp/even 2>/tmp/said
echo "CONDITION exit $? rows $(grep -c '"times"' /tmp/even) $(tail -1 /tmp/said)"
ri trace --budget 90% -p $p main.work --returns --limit 10 --ndjson >/tmp/returns 2>/tmp/said
echo "RETURNS exit $? rows $(grep -c '"done"' /tmp/returns) $(tail -1 /tmp/said)"
kill -0 $p && echo "TARGET lives"
poweroff -f
INIT
chmod +x "$work/tree/init"
(cd "$work/tree" && find . | cpio -o -H newc 2>/dev/null | gzip -1 >../initrd.gz)
timeout "${TIMEOUT:-600}" qemu-system-x86_64 -accel tcg,thread=multi -cpu qemu64 -m 2048 -smp 2 -nographic -no-reboot \
	-kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd.gz" -append "console=ttyS0 quiet panic=-1" </dev/null |
	tr -d '\r' >"$work/out" || true
said=$(grep -aE '^(KERNEL|DOCTOR|ENTRIES|CONDITION|RETURNS|TARGET) ' "$work/out" || true)
echo "$said"
for want in 'ENTRIES exit 0 rows 20' 'CONDITION exit 0 rows 5' 'RETURNS exit 0 rows 10' 'TARGET lives'; do
	grep -q "$want" <<<"$said" || { echo "not so: $want" >&2; tail -40 "$work/out" >&2; exit 1; }
done
