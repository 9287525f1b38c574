//! A crate that is built again and again: what of the last build still holds is not done anew.

use std::path::PathBuf;

use midflight_runtime::Handle;

use super::{BuildError, BuildOptions, Built, cargo, describe, io, manifest};
use crate::bundle::{Bundle, Manifest};
use crate::check::check_library;
use crate::hash::CodeId;
use crate::keys::{development_key, signing_key};
use crate::signature::SigningKey;

/// A crate, and what is known of it from the last build.
#[derive(Debug)]
pub struct Workshop {
    options: BuildOptions,
    source: cargo::Source,
    key: SigningKey,
    last: Option<(CodeId, Bundle)>,
}

impl Workshop {
    /// Looks at a crate; nothing is compiled yet.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn open(runtime: &Handle, options: BuildOptions) -> Result<Self, BuildError> {
        options.check_target()?;
        let source = cargo::look_at(&options).await?;
        let key = match &options.key {
            Some(path) => signing_key(path)?,
            None => development_key(&**runtime, &options.data)?,
        };
        Ok(Self { options, source, key, last: None })
    }

    /// Looks again, where a manifest has been written since.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn look(&mut self) -> Result<(), BuildError> {
        if self.source.is_out_of_date() {
            self.source = cargo::look_at(&self.options).await?;
        }
        Ok(())
    }

    /// The folders of the crate and of those that it has from paths, as of the last look: where its source is.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.source.folders
    }

    /// Compiles the crate, as of the last look, and makes a signed bundle of it. The compiler writes to standard error what it
    /// has to say. The same library gives the same bundle, without being asked again what it is.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(&mut self, runtime: &Handle) -> Result<Bundle, BuildError> {
        let library = cargo::compile(&self.options, &self.source).await?;
        let id = CodeId::of(&library);
        if let Some((_, bundle)) = self.last.as_ref().filter(|(last, _)| *last == id) {
            return Ok(bundle.clone());
        }
        let facts = check_library(&library, midflight_abi::table::TARGET)?;
        let report = describe(runtime, &self.options, &library).await?;
        let manifest = manifest(&self.options, &library, facts, report)?;
        let mut bundle = Bundle::new(manifest, vec![library])?;
        bundle.sign(&self.key)?;
        self.last = Some((id, bundle.clone()));
        Ok(bundle)
    }

    /// As [`Workshop::build`], and puts the bundle in a file.
    pub(super) async fn build_file(&mut self, runtime: &Handle) -> Result<Built, BuildError> {
        let bundle = self.build(runtime).await?;
        let bytes = bundle.write()?;
        let size = bytes.len() as u64;
        let path = self.options.output.clone().unwrap_or_else(|| {
            let Manifest { name, version, .. } = bundle.manifest();
            PathBuf::from(format!("{name}-{version}.mfb"))
        });
        runtime.files().write(path.clone(), bytes).await.map_err(|e| io(&path, e))?;
        Ok(Built { path, bundle, signed_by: self.key.public(), size })
    }
}
