#!/bin/sh
# Verify a model in a CI job:  ci-verify.sh MODEL PUBLIC_KEY
# Fails the job unless the model is verified, with a line that says who has to act. Where
# GitHub Actions listens, the line becomes an annotation.
set -u

if [ $# -ne 2 ]; then
    echo "usage: $0 MODEL PUBLIC_KEY" >&2
    exit 2
fi

# Stops here if the tool is missing: a check that did not run must not look like one that passed.
countermark --version || exit 1

countermark verify "$1" --public-key "$2"
code=$?

case $code in
    0) exit 0 ;;
    10) say="the model is not signed: ask its publisher" ;;
    11) say="the model is not the one that was signed: do not use it" ;;
    12) say="signed, but not with this key: check which key you trust" ;;
    13) say="the signer's certificate was not valid: ask the publisher to sign again" ;;
    14) say="the signature cannot be read: do not use the model" ;;
    15) say="the download is not complete" ;;
    16) say="signed, but against policy: see the reason above" ;;
    *) say="verification did not happen (exit $code)" ;;
esac
if [ "${GITHUB_ACTIONS:-}" = true ]; then
    echo "::error title=countermark::$say"
else
    echo "ci-verify: $say" >&2
fi
exit "$code"
