#!/usr/bin/env bash
# Builds a Kubernetes API server and its controllers from Debian's sources, and fetches etcd: kubernetes.sh FOLDER.
# Nothing is installed: packages are unpacked in the folder. What is there already is kept.
set -euo pipefail
folder="$1"
mkdir -p "$folder" && cd "$folder" && folder="$PWD"
[ -x kube-apiserver ] && [ -x kube-controller-manager ] && [ -x etcd ] && exit 0

if [ ! -d source/cmd ]; then
  # Sources may not be among what this machine asks Debian for.
  mkdir -p lists/partial cache/archives/partial
  mirror="$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | grep -m1 bookworm)"
  printf 'deb-src %s main\ndeb %s main\n' "$mirror" "$mirror" >sources.list
  ask=(apt-get -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/lists"
    -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=root -qq)
  "${ask[@]}" update
  "${ask[@]}" source --download-only kubernetes
  "${ask[@]}" download golang-1.19-go golang-1.19-src etcd-server
  for package in golang-1.19-*.deb etcd-server_*.deb; do dpkg -x "$package" root; done
  mkdir -p source
  tar xzf kubernetes_*.orig.tar.gz -C source --strip-components=1
fi
cp root/usr/bin/etcd etcd

export GOROOT="$folder/root/usr/lib/go-1.19" GOPATH="$folder/go" GOCACHE="$folder/go-cache" HOME="$folder/home"
export CGO_ENABLED=0 GO111MODULE=off GOTOOLCHAIN=local GOPROXY=off PATH="$folder/root/usr/lib/go-1.19/bin:$PATH"
mkdir -p go/src/k8s.io home
ln -sfn "$folder/source" go/src/k8s.io/kubernetes
cd go/src/k8s.io/kubernetes

go build -o "$folder/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages="$(grep -rl '+k8s:openapi-gen=' --include='*.go' pkg staging/src/k8s.io cmd | grep -v zz_gen | xargs -n1 dirname | sort -u |
  sed 's#^staging/src/##; s#^pkg#k8s.io/kubernetes/pkg#; s#^cmd#k8s.io/kubernetes/cmd#' |
  grep -v '/code-generator\|sample-\|/test' | paste -sd,)"
# It ends with an error for names that it would choose otherwise; what it writes is whole.
"$folder/openapi-gen" -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
  -h hack/boilerplate/boilerplate.generatego.txt -r "$folder/violations" --output-base "$folder/generated" || true
cp "$folder"/generated/k8s.io/kubernetes/pkg/generated/openapi/*.go pkg/generated/openapi/
for program in kube-apiserver kube-controller-manager; do
  go build -o "$folder/$program.new" "k8s.io/kubernetes/cmd/$program"
  mv "$folder/$program.new" "$folder/$program"
done
