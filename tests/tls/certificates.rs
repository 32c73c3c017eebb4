//! The certificates of these tests, made afresh by the `openssl` command, which every Debian
//! PostgreSQL brings along.

use std::path::Path;
use std::process::{Command, Stdio};

/// A folder of certificates and keys, `NAME.crt` and `NAME.key`.
pub(crate) struct Certificates(tempfile::TempDir);

/// Makes everything, in the folder it is run in.
const SCRIPT: &str = r#"
set -e
umask 077
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
authority() {
    openssl req -x509 $key -subj "/CN=$1" -days 10 -out "$1.crt" -keyout "$1.key"
}
# NAME COMMON-NAME AUTHORITY DAYS [EXTENSIONS]
signed() {
    openssl req -new $key -subj "/CN=$2" -out "$1.csr" -keyout "$1.key"
    if [ -n "$5" ]; then
        echo "$5" > "$1.ext"
        set -- "$1" "$2" "$3" "$4" "-extfile $1.ext"
    fi
    openssl x509 -req -in "$1.csr" -CA "$3.crt" -CAkey "$3.key" -CAcreateserial -days "$4" $5 -out "$1.crt"
}
authority ca
authority other-ca
authority client-ca
signed good elsewhere ca 10 "subjectAltName=DNS:localhost,IP:127.0.0.1"
signed wrong-host localhost ca 10 "subjectAltName=DNS:db.example.com"
signed version-1 localhost ca 10 ""
signed client certified client-ca 10 "extendedKeyUsage=clientAuth"
signed stranger certified other-ca 10 "extendedKeyUsage=clientAuth"
authority localhost
mv localhost.crt self-signed.crt
mv localhost.key self-signed.key
openssl pkey -in client.key -aes256 -passout pass:x -out encrypted.key
printf '[ca]\ndefault_ca=a\n[a]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=9\nnew_certs_dir=.\nrand_serial=yes\npolicy=p\n[p]\ncommonName=supplied\n' > ca.cnf
: > index
echo 01 > number
signed expired localhost ca 10 "subjectAltName=DNS:localhost"
openssl ca -batch -notext -config ca.cnf -cert ca.crt -keyfile ca.key -in expired.csr -extfile expired.ext \
    -startdate 200101000000Z -enddate 210101000000Z -out expired.crt
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -gencrl -out empty.crl
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -revoke good.crt
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -gencrl -out full.crl
"#;

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("sh")
            .args(["-c", SCRIPT])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(folder)
    }

    /// The path of one file.
    pub(crate) fn path(&self, name: &str) -> String {
        let path: &Path = self.0.path();
        path.join(name).display().to_string()
    }
}
