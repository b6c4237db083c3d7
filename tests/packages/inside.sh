#!/bin/sh
# Runs inside a clean root where the packages are installed: the commands of README.md, from /usr. The folder /packages
# has everyday10.safetensors and its JSON file. The argument is the version that kitfox has to be.
set -eu
examples=/usr/share/doc/kitfox/examples
pictures=$examples/pictures
work=$(mktemp -d)
cd "$work"
step() { echo "   -- $*"; }

step version
kitfox --version >version
grep -q "^kitfox $1\b" version || { cat version; exit 1; }
step classify
for name in airplane automobile frog ship truck; do
  kitfox classify --json "$pictures/$name.jpg" >top
  grep -q "\"top\":\[{\"index\":[0-9]*,\"label\":\"$name\"" top || { cat top; exit 1; }
  mkdir -p "labelled/$name"
  cp "$pictures/$name.jpg" "labelled/$name"
done
kitfox classify --annotate drawn.png "$pictures/frog.jpg"
[ -s drawn.png ]
step "import, quantize, verify, compare, eval, bench"
kitfox import /packages/everyday10.safetensors -o float.kfx
kitfox quantize /packages/everyday10.safetensors --calib "$pictures" -o int8.kfx
kitfox verify
kitfox verify int8.kfx
kitfox compare float.kfx int8.kfx --data "$pictures"
kitfox eval int8.kfx --data labelled | tee scores
grep -q '^5 pictures  top-1 ' scores
kitfox bench int8.kfx

step "serve and curl"
kitfox serve int8.kfx --port 0 >served 2>&1 &
server=$!
for _ in $(seq 100); do grep -q ' at http' served && break; sleep 0.1; done
address=$(sed -n 's|.* at \(http://[0-9.:]*/\).*|\1|p' served)
curl -sf -F "image=@$pictures/frog.jpg" "${address}classify" | tee answer
echo
grep -q '"label":"frog"' answer
kill $server
wait $server || true

step "C, with shared libraries and with static ones"
cc "$examples/classify.c" $(pkg-config --cflags --libs kitfoximg kitfox) -o shared
./shared int8.kfx "$pictures/ship.jpg" | tee answer
grep -q ship answer
cc "$examples/batch.c" $(pkg-config --cflags --libs kitfoxlab) -o batch
libs=$(pkg-config --variable=libdir kitfox)
cc "$examples/classify.c" "$libs/libkitfoximg.a" "$libs/libkitfox.a" -ljpeg -lspng -lwebp -ljansson -lm -o static
[ "$(./static int8.kfx "$pictures/ship.jpg")" = "$(cat answer)" ]

step Python
python3 - "$pictures" <<'P'
import sys
import kitfox

assert kitfox.__file__.startswith("/usr/lib/python3/"), kitfox.__file__
for model in kitfox.load(), kitfox.load("int8.kfx"):
    assert model.classify(sys.argv[1] + "/truck.jpg").label == "truck"
print("  ", kitfox.__version__, kitfox.verify("int8.kfx"))
P

step "the service"
grep -q '^ExecStart=/usr/bin/kitfox serve' /lib/systemd/system/kitfox-serve.service
[ -d /var/lib/kitfox/models ]
cd /
rm -rf "$work"
